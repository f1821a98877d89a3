import styles from './Swatch.module.css';

/** The colour of an address: decoration, which the eye tells devices apart by. */
export function Swatch({ colour, small = false }: { colour: string; small?: boolean }) {
  return (
    <span
      className={styles.swatch}
      data-small={small || undefined}
      style={{ background: colour }}
      aria-hidden
    />
  );
}
