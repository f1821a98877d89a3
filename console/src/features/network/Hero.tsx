import type { Schemas } from '../../api/client';
import { timeOfDay } from '../../shared/format';
import { LevelIcon } from '../../shared/status';
import { texts } from '../../shared/texts';
import styles from './Hero.module.css';
import { LinkMap } from './LinkMap';

/** The one thing to know: whether keys flow, in a word, a sentence and a picture. */
export function Hero({ network }: { network: Schemas['NetworkView'] }) {
  const { link } = network;
  return (
    <section className={styles.hero} data-level={link.status} aria-label={texts.shell.link}>
      <div className={styles.say} role="status">
        <p className={styles.level}>
          <LevelIcon level={link.status} size={34} />
          {texts.level[link.status]}
          {link.since !== null && (
            <span className={styles.since}>{texts.network.since(timeOfDay(link.since))}</span>
          )}
        </p>
        <p className={styles.headline}>
          {link.stale ? texts.network.stale : texts.network.headline[link.status]}
        </p>
        {link.reason && <p className={styles.reason}>{link.reason}</p>}
      </div>
      <LinkMap network={network} />
    </section>
  );
}
