import styles from './Scale.module.css';

interface ScaleProps {
  value: number | null;
  stderr: number | null;
  theory: number | null;
  most: number;
  limits: readonly { at: number; label: string }[];
}

const SURE = 3;

/** A measured value with three standard errors, theory and limits, from 0 on. */
export function Scale({ value, stderr, theory, most, limits }: ScaleProps) {
  const place = (at: number) => `${(100 * Math.min(Math.max(at, 0), most)) / most}%`;
  return (
    <div className={styles.scale} aria-hidden>
      <div className={styles.track} />
      {limits.map(({ at, label }) => (
        <span key={label} className={styles.limit} style={{ left: place(at) }}>
          {label}
        </span>
      ))}
      {theory !== null && <span className={styles.theory} style={{ left: place(theory) }} />}
      {value !== null && stderr !== null && (
        <span
          className={styles.error}
          style={{
            left: place(value - SURE * stderr),
            right: `calc(100% - ${place(value + SURE * stderr)})`,
          }}
        />
      )}
      {value !== null && <span className={styles.value} style={{ left: place(value) }} />}
    </div>
  );
}
