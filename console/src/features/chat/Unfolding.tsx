import type { SessionNow } from '../../chat/state/talk';
import { count, decimal, percent } from '../../shared/format';
import { chat } from '../../texts/chat';
import { Overheard } from './Overheard';
import { Part } from './Part';
import protection from './Protection.module.css';
import { reached, STEPS, stations } from './stations';
import styles from './Unfolding.module.css';

const say = chat.panel;

/** A session under way, in one line: what it has come to, and where it is. */
export function Line({ session }: { session: SessionNow | null }) {
  if (!session) return <span>{chat.making}</span>;
  return (
    <span className={styles.line}>
      {stations(session).map(({ name, value, reached: how }) => (
        <span key={name} data-reached={how}>
          {name} {value && <strong>{value}</strong>}
        </span>
      ))}
    </span>
  );
}

/** A session under way, whole. */
export function Unfolding({ session }: { session: SessionNow }) {
  const times = new Map(session.steps.map(({ step, ms }) => [step, ms]));
  const figures = [
    [say.pairs, session.pairs],
    [say.coincidences, session.coincidences],
    [say.test, session.test_pairs],
    [say.sifted, session.sifted_bits],
    [say.leaked, session.leaked_bits],
  ] as const;
  // One that gives a pad discloses nothing, and one that only looks makes none.
  const skipped = session.probe ? PADS : LOOKS;
  return (
    <>
      <Part title={session.probe ? say.nowProbe : say.now}>
        <ol className={styles.steps}>
          {STEPS.filter((step) => !skipped.includes(step) || step === session.step).map((step) => (
            <li
              key={step}
              data-reached={reached(session, step)}
              aria-current={step === session.step ? 'step' : undefined}
            >
              <span>{say.step[step]}</span>
              <span className="number">
                {times.has(step) && say.milliseconds((times.get(step) ?? 0).toFixed(1))}
              </span>
            </li>
          ))}
        </ol>
        <dl className={protection.measured}>
          <dt>{say.s}</dt>
          <dd>
            <strong className="number">{decimal(session.s)}</strong>
          </dd>
          <dt>{say.qber}</dt>
          <dd>
            <strong className="number">{percent(session.qber)}</strong>
          </dd>
        </dl>
      </Part>
      <Part title={say.way}>
        <ol className={styles.figures}>
          {figures
            .filter(([, value]) => value > 0)
            .map(([name, value]) => (
              <li key={name}>
                <strong className="number">{count(value)}</strong> <span>{name}</span>
              </li>
            ))}
        </ol>
      </Part>
      <Part title={say.eve}>
        <p>{say.eveNow(count(session.public_bytes))}</p>
      </Part>
      <Overheard session={session.session} isUnderWay />
    </>
  );
}

const LOOKS: readonly string[] = ['disclosure'];
const PADS: readonly string[] = ['reconciliation', 'verification', 'authentication', 'storage'];
