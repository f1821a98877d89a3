import { expect, it } from 'vitest';
import { bitRate, bits, decimal, duration, NOTHING, percent } from './format';

it.each([
  [0, '0 s'],
  [59.6, '1 min 0 s'],
  [3725, '1 h 2 min'],
  [90_000, '1 d 1 h'],
  [null, NOTHING],
  [Number.POSITIVE_INFINITY, NOTHING],
])('%s seconds are %s', (seconds, said) => {
  expect(duration(seconds)).toBe(said);
});

it.each([
  [0, '0 bit/s'],
  [3.25, '3.3 bit/s'],
  [640, '640 bit/s'],
  [4321, '4.3 kbit/s'],
  [110_000, '110 kbit/s'],
  [2.5e6, '2.5 Mbit/s'],
])('%s bits a second are %s', (rate, said) => {
  expect(bitRate(rate)).toBe(said);
});

it('what is not known is a dash, not a zero', () => {
  expect([bits(null), percent(undefined), decimal(null)]).toEqual([NOTHING, NOTHING, NOTHING]);
  expect(percent(0.0213)).toBe('2.1 %');
});
