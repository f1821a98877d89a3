import type { Readings } from './queries';

/** One quantity of a device, as its readings say it. */
export interface Series {
  name: string;
  values: readonly number[];
}

const MOST = 4;
const NOT_MEASURED = new Set(['number', 'seq', 'time', 'timestamp', 'ts', 'at', 'id']);

/** The quantities in readings: numbers of JSON objects, or columns of CSV by its header. */
export function seriesOf({ begin, readings }: Pick<Readings, 'begin' | 'readings'>): Series[] {
  const header = splitRow(begin);
  const found = new Map<string, number[]>();
  for (const { number, text } of readings) {
    for (const [name, value] of fields(text, header, number)) {
      const values = found.get(name) ?? [];
      values.push(value);
      found.set(name, values);
    }
  }
  return [...found]
    .filter(([name, values]) => values.length > 1 && !NOT_MEASURED.has(name.toLowerCase()))
    .slice(0, MOST)
    .map(([name, values]) => ({ name, values }));
}

function fields(text: string, header: readonly string[], number: number): [string, number][] {
  if (text.trimStart().startsWith('{')) return ofObject(text);
  if (number === 0 && !header.some(isNumber)) return [];
  const cells = splitRow(text);
  const named = header.length === cells.length && !header.some(isNumber);
  return cells.flatMap((cell, i): [string, number][] =>
    isNumber(cell) ? [[named ? (header[i] ?? '') : `${i + 1}`, Number(cell)]] : [],
  );
}

function ofObject(text: string): [string, number][] {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return []; // cut off: longer than what is shown
  }
  return Object.entries(found as object).filter(
    (each): each is [string, number] => typeof each[1] === 'number',
  );
}

const splitRow = (row: string) =>
  row.split(',').map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));
const isNumber = (cell: string) => cell !== '' && Number.isFinite(Number(cell));

/** The points of a line over values, in a box of the given size, from left to right. */
export function lineOf(values: readonly number[], width: number, height: number): string {
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const step = width / Math.max(1, values.length - 1);
  return values
    .map(
      (value, i) => `${(i * step).toFixed(1)},${(height * (1 - (value - low) / span)).toFixed(1)}`,
    )
    .join(' ');
}
