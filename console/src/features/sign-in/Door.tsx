import type { ReactNode } from 'react';
import { Wordmark } from '../../shared/Wordmark';
import styles from './Door.module.css';

/** The frame of the pages before anybody is signed in. */
export function Door({
  title,
  lead,
  children,
}: {
  title: string;
  lead: string;
  children: ReactNode;
}) {
  return (
    <main className={styles.door}>
      <Waves />
      <div className={styles.card}>
        <Wordmark large />
        <h1>{title}</h1>
        <p className={styles.lead}>{lead}</p>
        {children}
      </div>
    </main>
  );
}

/** Two entangled waves across the page: one picture of what the product is about. */
function Waves() {
  const wave = (sign: 1 | -1) => {
    let path = 'M-50 300';
    for (let x = -50, up = sign; x < 1650; x += 170, up = -up as 1 | -1)
      path += `c57 ${-150 * up} 113 ${-150 * up} 170 0`;
    return path;
  };
  return (
    <svg
      className={styles.waves}
      viewBox="0 0 1600 600"
      preserveAspectRatio="xMidYMid slice"
      aria-hidden="true"
    >
      <path d={wave(1)} />
      <path d={wave(-1)} />
    </svg>
  );
}
