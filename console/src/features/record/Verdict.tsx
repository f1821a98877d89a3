import IconCross from '@tabler/icons-react/dist/esm/icons/IconAlertOctagonFilled.mjs';
import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCircleCheckFilled.mjs';
import IconEye from '@tabler/icons-react/dist/esm/icons/IconEye.mjs';
import type { ReactNode } from 'react';
import styles from './Verdict.module.css';

const ICONS = { GREEN: IconCheck, YELLOW: IconEye, RED: IconCross, NONE: IconEye };

interface VerdictProps {
  title: string;
  children: ReactNode;
  level?: keyof typeof ICONS;
}

/** What this browser found out, in one line and a sentence. */
export function Verdict({ title, children, level = 'NONE' }: VerdictProps) {
  const Icon = ICONS[level];
  return (
    <div className={styles.verdict} data-level={level}>
      <Icon size={20} aria-hidden />
      <div>
        <strong>{title}</strong>
        <p>{children}</p>
      </div>
    </div>
  );
}
