import { toBase64 } from '../../chat/protocol/base64';
import { Kind } from '../../chat/protocol/content';
import {
  type MessageRecord,
  recordOf,
  type SessionNow,
  type SessionRecord,
} from '../../chat/state/talk';
import { count, decimal, percent } from '../../shared/format';
import { LevelIcon, Simulated } from '../../shared/status';
import { chat } from '../../texts/chat';
import { files } from '../../texts/files';
import { Overheard } from './Overheard';
import { Bar, Part } from './Part';
import styles from './Protection.module.css';
import { Unfolding } from './Unfolding';
import { padBytes, padSource } from './words';

const say = chat.panel;

interface ProtectionProps {
  message: MessageRecord;
  records: ReadonlyMap<string, SessionRecord>;
  /** Its session, while it is under way. */
  session: SessionNow | null;
}

/** What protected one message, whole: its pad, the session that made it, and what Eve has of both. */
export function Protection({ message, records, session }: ProtectionProps) {
  const source = padSource(message);
  const record = recordOf(message, records);
  return (
    <div className={styles.panel}>
      {session && <Unfolding session={session} />}
      {!session && !record && message.protections.length === 0 && <p>{say.nothing}</p>}
      {message.protections.length > 0 && (
        <Part title={say.pad} aside={source === 'simulated' && <Simulated />}>
          <p>
            {source === null
              ? say.padNone
              : `${say.padWhat(count(padBytes(message)), source)} ${source === 'simulated' ? say.padSimulated : say.padHolds}`}
            {source !== null && !record && ` ${say.sessionNone}`}
          </p>
        </Part>
      )}
      {message.content.kind === Kind.fileKey && (
        <Part title={files.title}>
          <p>{files.what}</p>
        </Part>
      )}
      {record && <Session record={record} />}
      {message.protections.length > 0 && (
        <Part title={say.around}>
          <p>{chat.postQuantumWhat}</p>
        </Part>
      )}
      <OnTheWire message={message} />
    </div>
  );
}

/** What everybody on the way had of it. */
function OnTheWire({ message }: { message: MessageRecord }) {
  const crossed = message.protections.flatMap((each) => each.crossed ?? []);
  const [first] = crossed;
  if (!first) return null;
  const bytes = crossed.reduce((sum, each) => sum + each.bytes, 0);
  return (
    <Part title={say.wire}>
      <p>{say.wireWhat(count(bytes), crossed.length)}</p>
      <p className={`mono ${styles.wire}`}>{toBase64(first.start)} …</p>
    </Part>
  );
}

/** What a session measured, how its light became a pad, and what could be overheard of it. */
function Session({ record }: { record: SessionRecord }) {
  const isAborted = record.verdict === 'abort';
  const title = isAborted ? say.abortedSession : say.session;
  return (
    <>
      <Part title={title} aside={record.source === 'simulated' && <Simulated />}>
        <p className={styles.verdict}>
          <LevelIcon level={isAborted ? 'RED' : 'GREEN'} />
          <strong>{isAborted ? say.abort : say.accepted}</strong>
          {record.reason && <span>{record.reason}</span>}
        </p>
        <dl className={styles.measured}>
          <dt>{say.s}</dt>
          <dd>
            <strong className="number">{within(record.s, record.s_stderr)}</strong>
            <small>{say.sWhat(decimal(record.s_lower))}</small>
          </dd>
          <dt>{say.qber}</dt>
          <dd>
            <strong className="number">{percent(record.qber)}</strong>
            <small>{say.qberWhat}</small>
          </dd>
        </dl>
      </Part>
      <Way record={record} />
      <Part title={say.eve}>
        <p>
          {isAborted && say.eveAborted}
          {!isAborted && say.eveWhat(count(record.public_bytes))}
          {!isAborted && record.epsilon !== null && (
            <>
              {say.eveEpsilon}
              <sup>{-Math.ceil(Math.log10(record.epsilon))}</sup>
            </>
          )}
          {!isAborted && '.'}
        </p>
      </Part>
      <Overheard session={record.session} isUnderWay={false} />
      <Steps record={record} />
    </>
  );
}

/** From the light to the pad, each number with a bar of its share. */
function Way({ record }: { record: SessionRecord }) {
  const rows = [
    [say.pairs, record.pairs],
    [say.coincidences, record.coincidences],
    [say.test, record.test_pairs],
    [say.sifted, record.sifted_bits],
    [say.leaked, record.leaked_bits],
    [say.final, record.final_bits],
  ] as const;
  return (
    <Part title={say.way}>
      <ol className={styles.way}>
        {rows.map(([name, value]) => (
          <li key={name}>
            <Bar share={value / Math.max(1, record.pairs)} />
            <strong className="number">{count(value)}</strong> <span>{name}</span>
          </li>
        ))}
      </ol>
    </Part>
  );
}

function Steps({ record }: { record: SessionRecord }) {
  if (record.steps.length === 0) return null;
  return (
    <Part title={say.steps}>
      <ol className={styles.way}>
        {record.steps.map(({ step, ms }) => (
          <li key={step}>
            <Bar share={ms / Math.max(1, record.total_ms)} />
            <strong className="number">{say.milliseconds(ms.toFixed(1))}</strong>{' '}
            <span>{say.step[step] ?? step}</span>
          </li>
        ))}
      </ol>
      <p className={styles.id}>
        {say.id} <span className="mono">{record.session}</span>
      </p>
    </Part>
  );
}

const within = (value: number | null, error: number | null) =>
  error === null ? decimal(value) : `${decimal(value)} ± ${decimal(error)}`;
