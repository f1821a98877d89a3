import { Button } from '@mantine/core';
import type { Chat } from '../../chat/engine/chat';
import type { Request } from '../../chat/engine/requests';
import { dateAndTime } from '../../shared/format';
import { toHex } from '../../shared/merkle';
import { Panel } from '../../shared/Panel';
import { chat as words } from '../../texts/chat';
import { handle as say } from '../../texts/handle';
import { Back } from './Back';
import pageStyles from './ChatPage.module.css';
import { Entry } from './Entry';
import styles from './Handle.module.css';
import { SafetyNumber } from './SafetyNumber';
import { useWork } from './useWork';
import { wordsOf } from './words';

interface AskingProps {
  requests: readonly Request[];
  chosen: string | null;
  onChoose: (peer: string) => void;
}

/** Who found our handle and waits to be accepted. */
export function Asking({ requests, chosen, onChoose }: AskingProps) {
  if (requests.length === 0) return null;
  return (
    <section className={styles.asking} aria-label={say.requests}>
      <div className={pageStyles.groupsHead}>
        <h3>{say.requests}</h3>
      </div>
      <ul className={pageStyles.people}>
        {requests.map(({ peer, name, messages }) => (
          <Entry
            key={peer}
            name={say.named(name)}
            unread={messages.length}
            message={messages.at(-1)}
            isChosen={peer === chosen}
            onChoose={() => onChoose(peer)}
          />
        ))}
      </ul>
    </section>
  );
}

interface AskedProps {
  chat: Chat;
  request: Request;
  onBack: () => void;
}

/** Somebody whom we do not know: what they said, and whether we hear them. */
export function Asked({ chat, request, onBack }: AskedProps) {
  const { peer, name, since, messages, isLike } = request;
  const { busy, problem, run } = useWork();
  const { requests } = chat;
  const ways = [
    ['accept', () => requests.accept(peer)],
    ['decline', () => requests.decline(peer)],
    ['block', () => requests.block(peer)],
  ] as const;
  return (
    <Panel title={say.asks(name)} aside={<Back onBack={onBack} />}>
      <div className={styles.request}>
        <p>{say.asked}</p>
        {isLike && (
          <p className={styles.state} data-failed>
            {say.like}
          </p>
        )}
        {messages.length === 0 ? (
          <p className={styles.hint}>{say.wordless}</p>
        ) : (
          <ul className={styles.words} aria-label={words.log(say.named(name))}>
            {messages.map((message) => (
              <li key={toHex(message.content.id)} dir="auto">
                {message.deleted ? <em>{words.deleted}</em> : wordsOf(message)}
              </li>
            ))}
          </ul>
        )}
        <p className={styles.hint}>{say.since(dateAndTime(since / 1000))}</p>
        <details className={styles.part}>
          <summary>{say.safety}</summary>
          <div>
            <p>{say.safetyLead}</p>
            <SafetyNumber chat={chat} peer={peer} />
          </div>
        </details>
        <p className={styles.problem} role="alert" hidden={!problem}>
          {problem}
        </p>
        <div className={styles.row}>
          {ways.map(([way, work]) => (
            <Button
              key={way}
              variant={way === 'accept' ? 'filled' : 'default'}
              loading={busy === way}
              disabled={busy !== null}
              onClick={() => void run(way, work)}
            >
              {say[way]}
            </Button>
          ))}
        </div>
        <p className={styles.hint}>
          {say.declineHint} {say.blockHint}
        </p>
      </div>
    </Panel>
  );
}
