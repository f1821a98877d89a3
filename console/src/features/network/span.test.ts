import { describe, expect, it } from 'vitest';
import { attacks, rangeOf, stops, stretches } from './span';

const event = (at: number, kind: string) => ({ at, kind, text: `${kind} at ${at}` });
const was = (at: number, status: 'GREEN' | 'YELLOW' | 'RED') => ({ at, status });

describe('regions', () => {
  it('of attacks end with the reset, or with another attack, or go on', () => {
    const found = attacks([
      event(1, 'attack'),
      event(2, 'status'),
      event(3, 'reset'),
      event(4, 'reset'),
      event(5, 'attack'),
      event(6, 'attack'),
    ]);
    expect(found.map(({ from, to }) => [from, to])).toEqual([
      [1, 3],
      [5, 6],
      [6, null],
    ]);
  });

  it('of stopped keys are those of red', () => {
    const records = [
      was(1, 'GREEN'),
      was(2, 'RED'),
      was(3, 'RED'),
      was(4, 'YELLOW'),
      was(5, 'RED'),
    ];
    expect(stops(records, 'stopped').map(({ from, to }) => [from, to])).toEqual([
      [2, 4],
      [5, null],
    ]);
    expect(stretches(records)).toHaveLength(4);
  });
});

describe('the range', () => {
  it('follows the newest, all of it, or stays', () => {
    expect(rangeOf({ span: '300', fixed: null }, 1000, 10)).toEqual([700, 1000]);
    expect(rangeOf({ span: 'all', fixed: null }, 1000, 10)).toEqual([10, 1000]);
    expect(rangeOf({ span: 'all', fixed: null }, 1000, 999)).toEqual([940, 1000]);
    expect(rangeOf({ span: '300', fixed: [5, 6] }, 1000, 10)).toEqual([5, 6]);
  });
});
