import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import { handleIn } from '../../chat/protocol/handles';
import { people as say } from '../../texts/people';
import styles from './ChatPage.module.css';
import { reason } from './words';

interface FindProps {
  chat: Chat;
  onAdded: (peer: string) => void;
}

/** Look for people by their handles at the relay, and add one. */
export function Find({ chat, onAdded }: FindProps) {
  const [found, setFound] = useState<readonly string[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState<string | null>(null);
  const [typed, setTyped] = useState('');
  const whole = handleIn(typed);
  /** Who is listed first; the whole handle may be of somebody who is not. */
  const offered = [...new Set([...(found ?? []), ...(whole ? [whole] : [])])];

  const run = async (what: string, work: () => Promise<void>) => {
    setBusy(what);
    setError(null);
    try {
      await work();
    } catch (refused) {
      setError(reason(refused));
    }
    setBusy(null);
  };
  const search = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    void run('', async () => setFound(await chat.directory.search(typed)));
  };
  const add = (handle: string) =>
    void run(handle, async () => onAdded(await chat.addHandle(handle)));
  return (
    <form className={styles.form} onSubmit={search}>
      <p>{say.lead}</p>
      <div className={styles.asked}>
        <TextInput
          label={say.label}
          required
          maxLength={33}
          autoCapitalize="none"
          autoComplete="off"
          spellCheck={false}
          value={typed}
          error={error}
          onChange={(event) => {
            setTyped(event.currentTarget.value);
            setFound(null);
          }}
        />
        <Button
          type="submit"
          variant={found?.length ? 'default' : 'filled'}
          loading={busy === ''}
          disabled={busy !== null}
        >
          {say.search}
        </Button>
      </div>
      {found?.length === 0 && (
        <p className={styles.hint} role="status">
          {say.none}
        </p>
      )}
      {offered.length > 0 && (
        <ul className={styles.found} aria-label={say.found}>
          {offered.map((handle) => (
            <li key={handle}>
              <Button
                fullWidth
                variant={found?.includes(handle) ? 'filled' : 'default'}
                loading={busy === handle}
                disabled={busy !== null}
                onClick={() => add(handle)}
              >
                {say.add(handle)}
              </Button>
            </li>
          ))}
        </ul>
      )}
      <p className={styles.hint}>{say.waits}</p>
    </form>
  );
}
