import { useQuery } from '@tanstack/react-query';
import { body, client, type Schemas } from '../../api/client';
import { about } from '../../api/queries';
import { fromBase64Url } from '../../chat/protocol/base64';
import { count } from '../../shared/format';
import { toHex } from '../../shared/merkle';
import { Simulated } from '../../shared/status';
import { chat } from '../../texts/chat';
import { eve as say } from '../../texts/eve';
import styles from './Overheard.module.css';
import { Part } from './Part';

/** How often she is asked while a session goes on. */
const EVERY_MS = 400;
/** Bytes of a message that are shown. */
const SHOWN_BYTES = 16;

interface OverheardProps {
  /** Id of a session, a UUID. */
  session: string;
  isUnderWay: boolean;
}

/** What a passive Eve hears of a session; in the lab alone. */
export function Overheard({ session, isUnderWay }: OverheardProps) {
  const isLab = useQuery(about).data?.lab === true;
  const heard = useQuery({
    queryKey: ['overheard', session, isUnderWay],
    queryFn: async () => {
      const query = { session };
      return (await body(client.GET('/api/chat/overheard', { params: { query } }))).messages;
    },
    enabled: isLab,
    refetchInterval: isUnderWay && EVERY_MS,
    placeholderData: (before) => before,
  });
  if (!isLab)
    return (
      <Part title={say.title}>
        <p>{say.off}</p>
      </Part>
    );
  const messages = heard.data ?? [];
  return (
    <Part title={say.title} aside={<Simulated />}>
      <p>{say.what}</p>
      <p className={styles.sum} role="status">
        {messages.length > 0 && say.sum(count(messages.length), count(bytesOf(messages)))}
        {messages.length === 0 && (heard.isError ? say.trouble : nothing(isUnderWay))}
      </p>
      {messages.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, which keys must be able to do
        <ol className={styles.heard} aria-label={say.log} tabIndex={0}>
          {messages.map(({ number, sender, phase, size, beginning }) => (
            <li key={number}>
              <span>{say.who[sender] ?? sender}</span>
              <span>{chat.panel.step[phase] ?? phase}</span>
              <span className="number">{say.bytes(count(size))}</span>
              <code>{toHex(fromBase64Url(beginning).slice(0, SHOWN_BYTES))}</code>
            </li>
          ))}
        </ol>
      )}
      <p className={styles.active}>
        <a href="#/network">{say.active}</a> {say.activeWhat}
      </p>
    </Part>
  );
}

const nothing = (isUnderWay: boolean) => (isUnderWay ? say.waits : say.gone);

const bytesOf = (messages: readonly Schemas['OverheardMessage'][]) =>
  messages.reduce((sum, { size }) => sum + size, 0);
