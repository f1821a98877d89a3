import IconAtom from '@tabler/icons-react/dist/esm/icons/IconAtom2.mjs';
import IconHere from '@tabler/icons-react/dist/esm/icons/IconPlugConnected.mjs';
import IconAway from '@tabler/icons-react/dist/esm/icons/IconPlugConnectedX.mjs';
import IconShield from '@tabler/icons-react/dist/esm/icons/IconShieldLock.mjs';
import { useId } from 'react';
import { duration } from '../../shared/format';
import { devices as say } from '../../texts/devices';
import { DeviceView } from './DeviceView';
import styles from './Fleet.module.css';
import type { Device } from './queries';
import { shieldOf } from './shield';

interface DeviceRowProps {
  device: Device;
  now: number;
  acts: boolean;
  opened: boolean;
  onToggle: () => void;
}

/** A device in one line; opened, everything that is known of it. */
export function DeviceRow({ device, now, acts, opened, onToggle }: DeviceRowProps) {
  const id = useId();
  const { name, fingerprint, connected, seen_at: seenAt, transport, last } = device;
  const shield = shieldOf(device);
  const Icon = connected ? IconHere : IconAway;
  return (
    <li className={styles.device}>
      <button
        type="button"
        className={styles.row}
        aria-expanded={opened}
        aria-controls={opened ? id : undefined}
        onClick={onToggle}
      >
        <Icon
          size={20}
          stroke={1.7}
          className={connected ? styles.here : styles.away}
          aria-hidden
        />
        <span className={styles.name}>
          <strong>{name}</strong>
          <span className="mono">{fingerprint.slice(0, 16)}</span>
        </span>
        <span className={styles.shield} data-shield={shield}>
          {shield === 'quantum' && <IconAtom size={15} aria-hidden />}
          {shield === 'lattice' && <IconShield size={15} aria-hidden />}
          {say.shield[shield]}
        </span>
        <span className={styles.carrier}>{transport && say.transports[transport]}</span>
        <span className={styles.seen}>
          {connected
            ? say.connected
            : seenAt === null
              ? say.never
              : say.ago(duration(now - seenAt))}
        </span>
        <span className={`${styles.last} mono`}>{last}</span>
      </button>
      {opened && (
        <div id={id}>
          <DeviceView device={device} acts={acts} />
        </div>
      )}
    </li>
  );
}
