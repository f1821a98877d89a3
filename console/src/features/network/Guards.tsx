import IconShield from '@tabler/icons-react/dist/esm/icons/IconShieldCheck.mjs';
import IconOff from '@tabler/icons-react/dist/esm/icons/IconShieldX.mjs';
import type { Schemas } from '../../api/client';
import { count, duration } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { texts } from '../../shared/texts';
import { Words } from '../../shared/Words';
import styles from './Guards.module.css';

/** What the kernel's firewalls let pass, as their guards tell it. */
export function Guards({ guards }: { guards: readonly Schemas['ShownGuard'][] }) {
  const say = texts.network;
  return (
    <Panel title={say.guards}>
      {guards.length === 0 && (
        <p className={styles.none}>
          <Words>{say.guardsNone}</Words>
        </p>
      )}
      <ul className={styles.guards}>
        {guards.map((guard) => {
          const passes = guard.packets === 'pass';
          const Icon = passes ? IconShield : IconOff;
          const level = guard.silent ? 'YELLOW' : passes ? 'GREEN' : 'RED';
          return (
            <li key={guard.name}>
              <Icon size={20} stroke={1.7} data-level={level} className={styles.icon} aria-hidden />
              <div>
                <strong>{guard.name}</strong> {passes ? say.pass : say.stop}
                {guard.silent && <>, {say.silent(duration(guard.silent_s))}</>}
                <p>{guard.reason}</p>
                {guard.blocked_packets > 0 && <p>{say.blocked(count(guard.blocked_packets))}</p>}
              </div>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}
