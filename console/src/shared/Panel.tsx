import { type ReactNode, useId } from 'react';
import styles from './Panel.module.css';

interface PanelProps {
  title: string;
  aside?: ReactNode;
  children: ReactNode;
  /** The lab's own look: nobody mistakes it for a real link's controls. */
  lab?: boolean;
}

/** A titled part of a page, which is a landmark as well. */
export function Panel({ title, aside, children, lab = false }: PanelProps) {
  const id = useId();
  return (
    <section className={styles.panel} data-lab={lab || undefined} aria-labelledby={id}>
      <header className={styles.header}>
        <h2 id={id}>{title}</h2>
        {aside && <div className={styles.aside}>{aside}</div>}
      </header>
      {children}
    </section>
  );
}
