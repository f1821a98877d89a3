import type { Schemas } from '../../api/client';
import { dateAndTime, timeOfDay } from '../../shared/format';
import { texts } from '../../shared/texts';
import styles from './Strip.module.css';
import { type Range, stretches } from './span';

interface StripProps {
  records: readonly Schemas['StatusRecordView'][];
  range: Range;
  onJump: (range: Range) => void;
}

const LETTER = { GREEN: 'G', YELLOW: 'Y', RED: 'R' };

/** How the link was, on the charts' axis; a click shows that stretch. */
export function Strip({ records, range, onJump }: StripProps) {
  const [from, to] = range;
  const shown = stretches(records).filter(
    (each) => each.at < to && (each.to === null || each.to > from),
  );
  return (
    <ul className={styles.strip} aria-label={texts.network.strip}>
      {shown.map(({ at, to: end, status, reason }) => {
        const left = Math.max(at, from);
        const share = (Math.min(end ?? to, to) - left) / (to - from);
        const said = `${texts.level[status]}, ${dateAndTime(at)} – ${end ? timeOfDay(end) : texts.network.latest}: ${reason}`;
        return (
          <li
            key={at}
            style={{ left: `${((left - from) / (to - from)) * 100}%`, width: `${share * 100}%` }}
          >
            <button
              type="button"
              data-level={status}
              title={said}
              aria-label={said}
              onClick={() => {
                const length = Math.max((end ?? to) - at, 10);
                onJump([at - length * 0.2, at + length * 1.2]);
              }}
            >
              {share > 0.025 && LETTER[status]}
            </button>
          </li>
        );
      })}
    </ul>
  );
}
