import { decimal } from '../../shared/format';
import { lab } from '../../texts/lab';
import styles from './Gauge.module.css';

const CLASSICAL = 2;
const QUANTUM = 2 * Math.SQRT2;
const MOST = 3;
const SURE = 3;
const [X, Y, RADIUS] = [160, 158, 118];

/** Where a value of S stands on the half circle, `out` beyond it. */
function place(s: number, out = 0): [x: number, y: number] {
  const angle = Math.PI * (1 - Math.min(Math.max(s, 0), MOST) / MOST);
  return [X + (RADIUS + out) * Math.cos(angle), Y - (RADIUS + out) * Math.sin(angle)];
}

function arc(from: number, to: number): string {
  return `M${place(from).join(' ')}A${RADIUS} ${RADIUS} 0 0 1 ${place(to).join(' ')}`;
}

function line(s: number, inner: number, outer: number): string {
  return `M${place(s, inner).join(' ')}L${place(s, outer).join(' ')}`;
}

interface GaugeProps {
  value: number | null;
  stderr: number | null;
}

/** S, with three standard errors, on a dial that ends a little beyond what quantum physics has. */
export function Gauge({ value, stderr }: GaugeProps) {
  const [classicalX, classicalY] = place(CLASSICAL, 22);
  const [quantumX, quantumY] = place(QUANTUM, 30);
  return (
    <svg
      className={styles.gauge}
      viewBox="0 0 320 206"
      role="img"
      aria-label={lab.gauge(decimal(value, 3), decimal(stderr, 3))}
    >
      <path d={arc(0, CLASSICAL)} className={styles.classical} />
      <path d={arc(CLASSICAL, QUANTUM)} className={styles.quantum} />
      <path d={line(CLASSICAL, -12, 12)} className={styles.mark} />
      <path d={line(QUANTUM, -12, 12)} className={styles.mark} />
      <text x={classicalX} y={classicalY} className={styles.label}>
        2
      </text>
      <text x={quantumX} y={quantumY} className={styles.label}>
        2√2
      </text>
      {value !== null && stderr !== null && (
        <path d={arc(value - SURE * stderr, value + SURE * stderr)} className={styles.error} />
      )}
      {value !== null && <path d={line(value, 8 - RADIUS, -16)} className={styles.needle} />}
      <circle cx={X} cy={Y} r="7" className={styles.hub} />
      <text x={X} y={Y + 32} className={styles.value}>
        S = {decimal(value, 3)}
      </text>
    </svg>
  );
}
