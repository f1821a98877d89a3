import { texts } from './texts';
import styles from './Wordmark.module.css';

/** Two waves that belong together, and the name. */
export function Wordmark({ large = false }: { large?: boolean }) {
  return (
    <span className={styles.wordmark} data-large={large || undefined}>
      <svg viewBox="0 0 44 24" aria-hidden="true">
        <path d="M2 12c6.6-13 13.3-13 20 0s13.4 13 20 0" />
        <path d="M2 12c6.6 13 13.3 13 20 0s13.4-13 20 0" className={styles.partner} />
      </svg>
      {texts.product}
    </span>
  );
}
