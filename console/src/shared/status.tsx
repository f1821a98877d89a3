import IconOctagon from '@tabler/icons-react/dist/esm/icons/IconAlertOctagonFilled.mjs';
import IconTriangle from '@tabler/icons-react/dist/esm/icons/IconAlertTriangleFilled.mjs';
import IconCircleCheck from '@tabler/icons-react/dist/esm/icons/IconCircleCheckFilled.mjs';
import type { Level } from '../api/client';
import styles from './status.module.css';
import { texts } from './texts';

const ICONS = { GREEN: IconCircleCheck, YELLOW: IconTriangle, RED: IconOctagon };

/** An icon of its own form for each level: colour is never the only sign. */
export function LevelIcon({ level, size = 18 }: { level: Level; size?: number }) {
  const Icon = ICONS[level];
  return <Icon size={size} className={styles.icon} data-level={level} aria-hidden />;
}

export function LevelBadge({ level, label }: { level: Level; label?: string }) {
  return (
    <span className={styles.badge} data-level={level}>
      <LevelIcon level={level} size={15} />
      {label && (
        <span className={styles.label} data-name>
          {label}
        </span>
      )}
      <strong>{texts.level[level]}</strong>
    </span>
  );
}

/** Said wherever something comes from computed photons. */
export function Simulated({ why = texts.simulatedWhy }: { why?: string }) {
  return (
    <span className={styles.simulated} title={why}>
      {texts.simulated}
    </span>
  );
}
