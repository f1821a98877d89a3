import { SegmentedControl, Switch } from '@mantine/core';
import { useMemo } from 'react';
import type { Schemas } from '../../api/client';
import { bitRate, bits, decimal, percent } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { Simulated } from '../../shared/status';
import { texts } from '../../shared/texts';
import { useSeconds } from '../../shared/useSeconds';
import { Chart, type Limit } from './Chart';
import styles from './Charts.module.css';
import { Strip } from './Strip';
import { attacks, rangeOf, type Span, stops, useView } from './span';

interface ChartsProps {
  network: Schemas['NetworkView'];
  blocks: readonly Schemas['BlockView'][];
  stocks: readonly Schemas['StockView'][];
  records: readonly Schemas['StatusRecordView'][];
  events: readonly Schemas['EventView'][];
}

const say = texts.network;

/** What was measured, on one axis of time, with everything that explains it. */
export function Charts({ network, blocks, stocks, records, events }: ChartsProps) {
  const view = useView();
  const now = useSeconds(view.fixed === null);
  const { thresholds } = network;

  const qber = useMemo(() => series(blocks, (each) => each.qber), [blocks]);
  const chsh = useMemo(() => series(blocks, (each) => each.chsh), [blocks]);
  const rate = useMemo(() => series(stocks, (each) => each.made_per_s), [stocks]);
  const stock = useMemo(() => series(stocks, (each) => each.stock_bits), [stocks]);
  const regions = useMemo(
    () => [...stops(records, say.legend.stop), ...attacks(events)],
    [records, events],
  );
  const qberLimits = useMemo<Limit[]>(
    () => [
      { value: thresholds.yellow_qber, level: 'YELLOW', label: texts.level.YELLOW },
      { value: thresholds.red_qber, level: 'RED', label: texts.level.RED },
    ],
    [thresholds],
  );
  const chshLimits = useMemo<Limit[]>(
    () => [{ value: thresholds.chsh_floor, level: 'RED', label: texts.level.RED }],
    [thresholds],
  );
  const starts = [blocks[0]?.at, stocks[0]?.at, records[0]?.at].filter((at) => at !== undefined);
  const first = starts.length > 0 ? Math.min(...starts) : undefined;
  const range = rangeOf(view, now, first);
  const shared = { range, regions, onZoom: view.zoom, onFollow: view.follow };

  return (
    <Panel
      title={say.charts}
      aside={
        <>
          {network.lab && <Simulated />}
          <SegmentedControl
            size="xs"
            aria-label={say.span}
            value={view.span}
            onChange={(span) => view.choose(span as Span)}
            data={Object.entries(say.spans).map(([value, label]) => ({ value, label }))}
          />
          <Switch
            size="sm"
            label={say.live}
            title={say.liveHint}
            checked={view.fixed === null}
            onChange={(event) => (event.currentTarget.checked ? view.follow() : view.pause(range))}
          />
        </>
      }
    >
      {blocks.length === 0 ? (
        <p className={styles.none}>{say.noBlocks}</p>
      ) : (
        <div className={styles.charts}>
          <Chart
            {...shared}
            title={say.qber}
            name="qber"
            data={qber}
            limits={qberLimits}
            least={[0, thresholds.red_qber * 1.25]}
            format={percent}
          />
          {chsh[0].length > 0 && (
            <Chart
              {...shared}
              title={say.chsh}
              name="chsh"
              data={chsh}
              limits={chshLimits}
              least={[1.4, thresholds.chsh_quantum]}
              format={decimal}
            />
          )}
          <Chart
            {...shared}
            title={say.rate}
            name="key-rate"
            data={rate}
            least={[0, 1]}
            format={bitRate}
          />
          <Chart
            {...shared}
            title={say.stock}
            name="key-stock"
            data={stock}
            least={[0, 1]}
            format={bits}
            withTimes
          />
          <Strip records={records} range={range} onJump={view.zoom} />
          <p className={styles.legend}>
            <span data-kind="eve">{say.legend.eve}</span>
            <span data-kind="stop">{say.legend.stop}</span>
            <span>{say.zoomHint}</span>
          </p>
        </div>
      )}
    </Panel>
  );
}

/** Times and values of those that have one. */
function series<T extends { at: number }>(
  items: readonly T[],
  value: (item: T) => number | null,
): [number[], number[]] {
  const found: [number[], number[]] = [[], []];
  for (const item of items) {
    const one = value(item);
    if (one === null) continue;
    found[0].push(item.at);
    found[1].push(one);
  }
  return found;
}
