import { useComputedColorScheme } from '@mantine/core';
import IconDownload from '@tabler/icons-react/dist/esm/icons/IconDownload.mjs';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { Disclosure } from '../../shared/Disclosure';
import { timeOfDay } from '../../shared/format';
import { saveBlob, saveText } from '../../shared/save';
import { texts } from '../../shared/texts';
import styles from './Chart.module.css';
import type { Range, Region } from './span';

export interface Limit {
  value: number;
  level: 'YELLOW' | 'RED';
  label: string;
}

interface ChartProps {
  title: string;
  /** Name of the saved files, and of the column. */
  name: string;
  data: uPlot.AlignedData;
  range: Range;
  regions: readonly Region[];
  limits?: readonly Limit[];
  format: (value: number | null | undefined) => string;
  /** What the axis shows at least. */
  least: Range;
  onZoom: (range: Range) => void;
  onFollow: () => void;
  withTimes?: boolean;
}

/** The latest value that there is. */
function last(data: uPlot.AlignedData): number | undefined {
  const values = data[1] ?? [];
  for (let i = values.length - 1; i >= 0; i -= 1) {
    const value = values[i];
    if (value != null) return value;
  }
  return undefined;
}

const HEIGHT = 132;
const TIMES = 30;
/** Wide, in pixels: the values beside a chart, and a time below it. */
const VALUES = 62;
const TIME = 56;
/** Between the times at the axis; a phone has room for two of them in five minutes. */
const INCREMENTS_S = [1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400];

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** One measured quantity over time; all charts share the axis and the crosshair. */
export function Chart(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot>(null);
  const now = useRef(props);
  now.current = props;
  const scheme = useComputedColorScheme();

  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are read anew with the theme; the rest is read when it is drawn
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const height = HEIGHT + (props.withTimes ? TIMES : 0);
    const chart = new uPlot(
      options(now, readout, element.clientWidth, height),
      now.current.data,
      element,
    );
    plot.current = chart;
    const resized = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [scheme]);

  useEffect(() => {
    plot.current?.setData(props.data, false);
  }, [props.data]);

  const [min, max] = props.range;
  // biome-ignore lint/correctness/useExhaustiveDependencies: regions and limits are drawn with the range
  useEffect(() => {
    plot.current?.setScale('x', { min, max });
  }, [min, max, props.data, props.regions, props.limits, scheme]);

  const latest = last(props.data);
  const csv = () => {
    const [times, values] = now.current.data;
    const rows = Array.from(times, (at, i) => `${at},${values?.[i] ?? ''}`);
    saveText(`${props.name}.csv`, `unix_s,${props.name}\n${rows.join('\n')}\n`, 'text/csv');
  };
  const png = () => {
    plot.current?.ctx.canvas.toBlob((blob) => blob && saveBlob(`${props.name}.png`, blob));
  };
  return (
    <figure className={styles.chart}>
      <figcaption>
        <span className={styles.title}>{props.title}</span>
        <span className={styles.value}>
          <span className="number" ref={readout}>
            {props.format(latest)}
          </span>
        </span>
        <Disclosure
          menu
          label={texts.network.save(props.title)}
          icon={<IconDownload size={15} aria-hidden />}
        >
          <button type="button" onClick={csv}>
            {texts.network.csv}
          </button>
          <button type="button" onClick={png}>
            {texts.network.png}
          </button>
        </Disclosure>
      </figcaption>
      <div
        ref={place}
        className={styles.place}
        role="img"
        aria-label={`${props.title}: ${texts.network.latest} ${props.format(latest)}`}
      />
    </figure>
  );
}

type Props = { readonly current: ChartProps };

function options(
  props: Props,
  readout: { readonly current: HTMLSpanElement | null },
  width: number,
  height: number,
): uPlot.Options {
  const accent = colour('--accent');
  const grid = { stroke: colour('--line'), width: 1, dash: [2, 4] };
  const axis = { stroke: colour('--muted'), font: "12px 'Inter Variable', sans-serif" };
  const { withTimes } = props.current;
  return {
    width,
    height,
    padding: [8, 4, withTimes ? 0 : 6, 0],
    legend: { show: false },
    cursor: {
      sync: { key: 'network', scales: ['x', null] },
      drag: { x: true, y: false, setScale: false },
      points: { size: 7, fill: accent, stroke: accent },
      bind: {
        dblclick: () => () => {
          props.current.onFollow();
          return null;
        },
      },
    },
    scales: {
      x: { time: true, auto: false },
      y: {
        range: (_, low, high) => {
          const [least, most] = props.current.least;
          return [Math.min(low ?? least, least), Math.max((high ?? most) * 1.06, most)];
        },
      },
    },
    axes: [
      {
        ...axis,
        show: true,
        grid: { show: false },
        ticks: { show: false },
        size: withTimes ? TIMES : 0,
        gap: 9,
        incrs: INCREMENTS_S,
        values: (u, at) =>
          withTimes ? at.map((each) => (isCut(u, each) ? '' : timeOfDay(each))) : [],
        space: 90,
      },
      {
        ...axis,
        grid,
        ticks: { show: false },
        size: VALUES,
        space: 34,
        values: (_, at) => at.map((each) => props.current.format(each)),
      },
    ],
    series: [
      {},
      {
        stroke: accent,
        width: 1.8,
        fill: colour('--accent-soft'),
        points: { show: false },
        spanGaps: true,
      },
    ],
    hooks: {
      drawClear: [(u) => drawRegions(u, props.current.regions)],
      draw: [(u) => drawLimits(u, props.current.limits ?? [])],
      setSelect: [
        (u) => {
          const { left, width: wide } = u.select;
          if (wide > 4) props.current.onZoom([u.posToVal(left, 'x'), u.posToVal(left + wide, 'x')]);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      setCursor: [
        (u) => {
          const { idx } = u.cursor;
          const at = idx == null ? undefined : u.data[0][idx];
          const { format, data } = props.current;
          if (readout.current === null) return;
          readout.current.textContent =
            idx == null || at === undefined
              ? format(last(data))
              : `${timeOfDay(at)} · ${format(data[1]?.[idx])}`;
        },
      ],
    },
  };
}

/** Whether the word of a time would leave the chart, or meet the values beside it. */
function isCut(u: uPlot, at: number): boolean {
  const { min, max } = u.scales.x ?? {};
  if (min == null || max == null) return false;
  return (Math.min(at - min, max - at) / (max - min)) * (u.width - VALUES) < TIME / 2;
}

function drawRegions(u: uPlot, regions: readonly Region[]): void {
  const { ctx, bbox } = u;
  const { min, max } = u.scales.x ?? {};
  if (min == null || max == null) return;
  for (const { from, to, kind } of regions) {
    const left = Math.max(bbox.left, u.valToPos(Math.max(from, min), 'x', true));
    const right = Math.min(bbox.left + bbox.width, u.valToPos(Math.min(to ?? max, max), 'x', true));
    if (right <= left) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, right - left, bbox.height);
    ctx.clip();
    if (kind === 'stop') {
      ctx.fillStyle = colour('--red-soft');
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
    } else {
      ctx.strokeStyle = colour('--red');
      ctx.globalAlpha = 0.38;
      ctx.lineWidth = devicePixelRatio;
      const step = 9 * devicePixelRatio;
      for (let x = left - bbox.height - ((left - bbox.left) % step); x < right; x += step) {
        ctx.beginPath();
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
        ctx.stroke();
      }
    }
    ctx.restore();
  }
}

function drawLimits(u: uPlot, limits: readonly Limit[]): void {
  const { ctx, bbox } = u;
  for (const { value, level, label } of limits) {
    const y = u.valToPos(value, 'y', true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour(level === 'RED' ? '--red' : '--yellow');
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${11 * devicePixelRatio}px 'Inter Variable', sans-serif`;
    ctx.textAlign = 'right';
    ctx.textBaseline = 'bottom';
    const place = [
      bbox.left + bbox.width - 4 * devicePixelRatio,
      y - 4 * devicePixelRatio,
    ] as const;
    // What was measured passes behind the word.
    ctx.setLineDash([]);
    ctx.strokeStyle = colour('--panel');
    ctx.lineWidth = 4 * devicePixelRatio;
    ctx.lineJoin = 'round';
    ctx.strokeText(label, ...place);
    ctx.fillText(label, ...place);
    ctx.restore();
  }
}
