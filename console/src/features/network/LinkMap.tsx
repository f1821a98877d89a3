import IconServer from '@tabler/icons-react/dist/esm/icons/IconServer2.mjs';
import IconSpy from '@tabler/icons-react/dist/esm/icons/IconSpy.mjs';
import type { Schemas } from '../../api/client';
import { texts } from '../../shared/texts';
import styles from './LinkMap.module.css';

/** Nodes and their link: photons travel while keys flow, and Eve stands where she listens. */
export function LinkMap({ network }: { network: Schemas['NetworkView'] }) {
  const { link, lab, site } = network;
  const { status, keys_may_flow: flows } = link;
  const say = texts.network;
  return (
    <div
      className={styles.map}
      data-level={status}
      data-flows={flows || undefined}
      role="img"
      aria-label={say.mapOf(texts.level[status])}
    >
      <Node site="a" here={site === 'a'} />
      <div className={styles.line} data-eve={lab?.eve ? true : undefined}>
        <span className={styles.fibre} />
        {flows && [0, 1, 2].map((each) => <span key={each} className={styles.photon} />)}
        {lab?.eve && (
          <span className={styles.eve}>
            <IconSpy size={22} stroke={1.8} />
            <span>{say.eve}</span>
          </span>
        )}
        <span className={styles.word}>{flows ? say.light : say.cut}</span>
      </div>
      <Node site="b" here={site === 'b'} />
    </div>
  );
}

function Node({ site, here }: { site: 'a' | 'b'; here: boolean }) {
  return (
    <div className={styles.node} data-here={here || undefined}>
      <span className={styles.box}>
        <IconServer size={24} stroke={1.6} />
      </span>
      <strong>{texts.network.node(site)}</strong>
      <span>{here ? texts.network.thisSite : texts.network.otherSite}</span>
    </div>
  );
}
