import { devices as say } from '../../texts/devices';
import { likeliest, outcome } from './circuit';
import styles from './Outcomes.module.css';

const STEP = 28;
const HIGH = 74;

interface OutcomesProps {
  claimed: readonly number[];
  measured: readonly number[];
}

/** The sixteen probabilities, as claimed beside as measured. */
export function Outcomes({ claimed, measured }: OutcomesProps) {
  const most = Math.max(...claimed, ...measured);
  const bar = (share: number) => (share / most) * HIGH;
  return (
    <figure className={styles.figure}>
      <figcaption>
        <span>{say.outcomes}</span>
        <span className={styles.legend}>
          <i data-claimed /> {say.claimed}
        </span>
        <span className={styles.legend}>
          <i /> {say.measured}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${STEP * measured.length} ${HIGH + 20}`}
        role="img"
        aria-label={say.outcomesOf(likeliest(claimed), likeliest(measured))}
      >
        {measured.map((share, number) => {
          const told = claimed[number] ?? 0;
          return (
            <g key={outcome(number)} transform={`translate(${STEP * number} 0)`}>
              <rect
                x="3"
                y={HIGH - bar(told)}
                width="9"
                height={bar(told)}
                rx="2"
                className={styles.claimed}
              />
              <rect
                x="14"
                y={HIGH - bar(share)}
                width="9"
                height={bar(share)}
                rx="2"
                className={styles.measured}
              />
              <text x={STEP / 2 - 1} y={HIGH + 14}>
                {outcome(number)}
              </text>
            </g>
          );
        })}
        <line x2={STEP * measured.length} y1={HIGH} y2={HIGH} className={styles.floor} />
      </svg>
    </figure>
  );
}
