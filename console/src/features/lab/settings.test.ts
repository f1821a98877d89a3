import { expect, it } from 'vitest';
import type { Schemas } from '../../api/client';
import { askedOf, searchOf, settingsOf, steps, USUAL } from './settings';

const PAIRS: Schemas['ProtocolOffer'] = {
  name: 'e91',
  most_pulses: 1_000_000,
  eves: ['ghz'],
  bell: true,
};

it('an address restores the experiment that it was made of', () => {
  const chosen = { ...USUAL, protocol: 'bb84', km: 25, eve: 'ghz', share: 0.3, seed: 7 } as const;
  expect(settingsOf(searchOf(chosen))).toEqual(chosen);
  expect(searchOf(USUAL)).toEqual({});
});

it.each([
  { km: -1 },
  { km: '25' },
  { km: Number.NaN },
  { pulses: 1e12 },
  { pulses: 2000.5 },
  { protocol: 'e92' },
  { eve: '<b>' },
  { hidden: 'true' },
])('nonsense in an address is left out: %o', (raw) => {
  expect(searchOf(raw)).toEqual({});
});

it('hidden variables are asked for without what they lack', () => {
  const asked = askedOf({ ...USUAL, hidden: true, km: 50, eve: 'ghz', share: 0.5 }, PAIRS);
  expect(asked).toEqual({ ...USUAL, eve: null, hidden: true });
});

it('no more is asked for than there is', () => {
  const asked = askedOf({ ...USUAL, pulses: 5e6, eve: 'pns' }, PAIRS);
  expect(asked.pulses).toBe(1_000_000);
  expect(asked.eve).toBeNull();
});

it('steps go up by 1, 2 and 5', () => {
  expect(steps(1000, 20_000)).toEqual([1000, 2000, 5000, 10_000, 20_000]);
});
