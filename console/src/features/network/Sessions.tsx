import { Button, CopyButton, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { body, client, type MadeSession, type Session } from '../../api/client';
import { Dialog } from '../../shared/Dialog';
import { percent, timeOfDay } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { Simulated } from '../../shared/status';
import { texts } from '../../shared/texts';
import { fingerprintOf } from './fingerprint';
import styles from './Sessions.module.css';

const say = texts.network;
const LASTS_S = 60;

interface SessionsProps {
  sessions: readonly Session[];
  mayMake: boolean;
}

/** Keys that two members came to, and a way to make one. */
export function Sessions({ sessions, mayMake }: SessionsProps) {
  const make = useMutation({
    mutationFn: (peer: string) => body(client.POST('/api/sessions', { body: { peer } })),
  });

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    make.mutate(String(new FormData(event.currentTarget).get('peer')).trim());
  }

  return (
    <Panel title={say.sessions}>
      {mayMake && (
        <form className={styles.make} onSubmit={submit}>
          <TextInput
            name="peer"
            label={say.peer}
            placeholder={say.peerHint}
            maxLength={80}
            autoCapitalize="none"
            spellCheck={false}
            required
          />
          <Button type="submit" loading={make.isPending}>
            {say.make}
          </Button>
        </form>
      )}
      {sessions.length === 0 ? (
        <p className={styles.none}>{say.sessionsNone}</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys
        <section className={styles.scroll} tabIndex={0} aria-label={say.sessions}>
          <table className={styles.table}>
            <thead>
              <tr>
                <th scope="col">{say.opened}</th>
                <th scope="col">{say.members}</th>
                <th scope="col">{say.state}</th>
                <th scope="col">QBER</th>
              </tr>
            </thead>
            <tbody>
              {sessions.map((session) => (
                <tr key={session.session_id}>
                  <td className="number">{timeOfDay(session.opened_at)}</td>
                  <td>{session.members.join(' · ')}</td>
                  <td>
                    <State session={session} />
                  </td>
                  <td className="number">
                    {percent(session.qber)} {session.source === 'simulated' && <Simulated />}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <Dialog opened={make.data !== undefined} onClose={make.reset} title={say.made}>
        {make.data && <Made made={make.data} />}
      </Dialog>
    </Panel>
  );
}

function State({ session }: { session: Session }) {
  if (session.joined_at !== null) return <strong>{say.joined}</strong>;
  const late = Date.now() / 1000 - session.opened_at > LASTS_S;
  return <span className={styles.open}>{late ? say.missed : say.waiting}</span>;
}

function Made({ made }: { made: MadeSession }) {
  const [shown, setShown] = useState(false);
  const fingerprint = useQuery({
    queryKey: ['fingerprint', made.session.session_id],
    queryFn: () => fingerprintOf(made.aes_key),
  }).data;
  return (
    <div className={styles.made}>
      <p>{say.madeWhat}</p>
      <dl>
        <dt>{say.members}</dt>
        <dd>{made.session.members.join(' · ')}</dd>
        <dt>{say.fingerprint}</dt>
        <dd className="mono">{fingerprint}</dd>
        <dt>QBER</dt>
        <dd>
          {percent(made.session.qber)} {made.session.source === 'simulated' && <Simulated />}
        </dd>
      </dl>
      {shown && <p className="mono">{made.aes_key}</p>}
      <div className={styles.buttons}>
        <Button variant="default" onClick={() => setShown(!shown)}>
          {shown ? say.hideKey : say.showKey}
        </Button>
        <CopyButton value={made.aes_key}>
          {({ copied, copy }) => (
            <Button onClick={copy}>{copied ? texts.copied : texts.copy}</Button>
          )}
        </CopyButton>
      </div>
    </div>
  );
}
