import type { ReactNode } from 'react';
import styles from './Protection.module.css';

interface PartProps {
  title: string;
  aside?: ReactNode;
  children: ReactNode;
}

/** A part of what is said of a message's protection. */
export function Part({ title, aside, children }: PartProps) {
  return (
    <section className={styles.part}>
      <h3>
        {title} {aside}
      </h3>
      {children}
    </section>
  );
}

/** How much of a whole something is. */
export function Bar({ share }: { share: number }) {
  return (
    <svg className={styles.bar} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      <rect width={Math.min(100, 100 * share)} height="6" />
    </svg>
  );
}
