import { useQuery } from '@tanstack/react-query';
import { count, dateAndTime } from '../../shared/format';
import { devices as say } from '../../texts/devices';
import { readings } from './queries';
import styles from './ReadingsView.module.css';
import { lineOf, type Series, seriesOf } from './series';

const LISTED = 8;
const WIDTH = 320;
const HEIGHT = 44;
const plain = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 3 });

/** What a device said last: lines of what can be drawn, and the readings themselves. */
export function ReadingsView({ device, name }: { device: string; name: string }) {
  const { data, error } = useQuery(readings(device));
  return (
    <section aria-label={`${say.readings}: ${name}`}>
      <h3>
        {say.readings}
        {data?.at != null && <time className={styles.at}>{dateAndTime(data.at)}</time>}
      </h3>
      {error && !data && <p>{error.message}</p>}
      {data?.readings.length === 0 && <p>{say.noReadings}</p>}
      {data && (
        <div className={styles.series}>
          {seriesOf(data).map((series) => (
            <Line key={series.name} series={series} />
          ))}
        </div>
      )}
      {data && data.readings.length > 0 && (
        <ol className={styles.readings}>
          {data.readings
            .slice(-LISTED)
            .toReversed()
            .map(({ number, text }) => (
              <li key={number}>
                <span className={styles.number}>{count(number)}</span>
                <code className="mono">{text}</code>
              </li>
            ))}
        </ol>
      )}
    </section>
  );
}

function Line({ series: { name, values } }: { series: Series }) {
  const low = plain.format(Math.min(...values));
  const high = plain.format(Math.max(...values));
  const last = plain.format(values.at(-1) ?? 0);
  return (
    <figure className={styles.line}>
      <figcaption>
        <span>{name}</span>
        <strong>{last}</strong>
      </figcaption>
      <svg
        viewBox={`0 -3 ${WIDTH} ${HEIGHT + 6}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={say.chartOf(name, low, high, last)}
      >
        <polyline points={lineOf(values, WIDTH, HEIGHT)} />
      </svg>
      <span className={styles.range}>
        {low} – {high}
      </span>
    </figure>
  );
}
