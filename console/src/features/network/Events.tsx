import IconReset from '@tabler/icons-react/dist/esm/icons/IconArrowBackUp.mjs';
import IconBolt from '@tabler/icons-react/dist/esm/icons/IconBolt.mjs';
import IconKey from '@tabler/icons-react/dist/esm/icons/IconKey.mjs';
import IconServer from '@tabler/icons-react/dist/esm/icons/IconServer2.mjs';
import IconShield from '@tabler/icons-react/dist/esm/icons/IconShieldHalf.mjs';
import IconSpy from '@tabler/icons-react/dist/esm/icons/IconSpy.mjs';
import IconUser from '@tabler/icons-react/dist/esm/icons/IconUser.mjs';
import type { Schemas } from '../../api/client';
import { dateAndTime, timeOfDay } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { LevelIcon } from '../../shared/status';
import { texts } from '../../shared/texts';
import styles from './Events.module.css';

const ICONS = {
  status: IconBolt,
  attack: IconSpy,
  reset: IconReset,
  guard: IconShield,
  session: IconKey,
  node: IconServer,
  account: IconUser,
};
const SHOWN = 60;

/** What happened, the latest first. */
export function Events({ events }: { events: readonly Schemas['EventView'][] }) {
  return (
    <Panel title={texts.network.events}>
      {events.length === 0 && <p className={styles.none}>{texts.network.eventsNone}</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls can be scrolled by keys */}
      <ol className={styles.events} tabIndex={0} aria-label={texts.network.events}>
        {events
          .slice(-SHOWN)
          .reverse()
          .map(({ seq, at, kind, level, text, actor }) => {
            const Icon = ICONS[kind];
            return (
              <li key={seq} data-kind={kind}>
                {level ? (
                  <LevelIcon level={level} size={17} />
                ) : (
                  <Icon size={17} stroke={1.7} aria-hidden />
                )}
                <span>
                  {text}
                  {actor && <em> {actor}</em>}
                </span>
                <time dateTime={new Date(at * 1000).toISOString()} title={dateAndTime(at)}>
                  {timeOfDay(at)}
                </time>
              </li>
            );
          })}
      </ol>
    </Panel>
  );
}
