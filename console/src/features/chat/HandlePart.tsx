import type { ReactNode } from 'react';
import styles from './Handle.module.css';

interface PartProps {
  title: string;
  onOpen?: () => void;
  children: ReactNode;
}

/** A part of looking after our handle: one of them is open at a time. */
export function Part({ title, onOpen, children }: PartProps) {
  return (
    <details
      className={styles.part}
      name="handle"
      onToggle={({ currentTarget }) => {
        if (!currentTarget.open) return;
        currentTarget.scrollIntoView({ block: 'nearest' });
        onOpen?.();
      }}
    >
      <summary>{title}</summary>
      {children}
    </details>
  );
}

/** Why something did not go. */
export function Problem({ children }: { children: string | null }) {
  return (
    <p role="alert" className={styles.problem} hidden={!children}>
      {children}
    </p>
  );
}
