import { devices } from '../../texts/devices';
import styles from './Circuit.module.css';
import { inWords } from './circuit';

const WIDTH = 460;
const GAP = 40;
const TOP = 22;
const wireAt = (wire: number) => TOP + GAP * wire;
const cnotAt = (control: number) => 296 + 38 * control;

/** Four wires turned by RY, a chain of CNOTs down them, and a meter at the end of each. */
export function Circuit({ angles }: { angles: readonly number[] }) {
  return (
    <svg
      className={styles.circuit}
      viewBox={`0 0 ${WIDTH} ${TOP * 2 + GAP * 3}`}
      role="img"
      aria-label={inWords(angles)}
    >
      {angles.map((angle, wire) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a wire is its place
        <g key={wire} transform={`translate(0 ${wireAt(wire)})`}>
          <line x1="140" x2="418" className={styles.wire} />
          <text x="130" y="4.5" className={styles.name}>
            {devices.wires[wire]}
          </text>
          <rect x="164" y="-15" width="98" height="30" rx="7" className={styles.gate} />
          <text x="213" y="5" className={styles.turn}>
            RY {angle.toFixed(2)}
          </text>
          <g className={styles.meter} transform="translate(418 -13)">
            <rect width="34" height="26" rx="6" />
            <path d="M8 18a9 9 0 0 1 18 0M17 18l6-10" />
          </g>
        </g>
      ))}
      {angles.slice(1).map((_, control) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a gate is its place
        <g key={control} transform={`translate(${cnotAt(control)} ${wireAt(control)})`}>
          <line y2={GAP + 9} className={styles.cnot} />
          <circle r="4.5" className={styles.control} />
          <circle cy={GAP} r="9" className={styles.target} />
          <path d={`M-9 ${GAP}h18M0 ${GAP - 9}v18`} className={styles.cnot} />
        </g>
      ))}
    </svg>
  );
}
