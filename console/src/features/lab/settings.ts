/** An experiment's settings, and how they stand in the page's address. */

import type { Schemas } from '../../api/client';

export type Asked = Schemas['AskedExperiment'];
export type LabProtocol = Asked['protocol'];

export interface Settings {
  protocol: LabProtocol;
  pulses: number;
  km: number;
  efficiency: number;
  dark: number;
  misalignment: number;
  eve: string;
  share: number;
  hidden: boolean;
  seed: number;
}

/** What the address leaves out. */
export const USUAL: Settings = {
  protocol: 'e91',
  pulses: 200_000,
  km: 0,
  efficiency: 1,
  dark: 0,
  misalignment: 0.02,
  eve: 'none',
  share: 1,
  hidden: false,
  seed: 1,
};

const PROTOCOLS: readonly string[] = ['e91', 'bbm92', 'bb84', 'decoy-bb84'] satisfies LabProtocol[];
const MOST_SEED = 2 ** 32 - 1;
const RANGES = {
  pulses: [1000, 10_000_000],
  km: [0, 300],
  efficiency: [0.01, 1],
  dark: [0, 0.01],
  misalignment: [0, 0.5],
  share: [0, 1],
  seed: [0, MOST_SEED],
} as const;

/** What an address says, whoever wrote it; what makes no sense is as usual. */
export function searchOf(raw: Partial<Record<keyof Settings, unknown>>): Partial<Settings> {
  const found: Record<string, unknown> = {};
  const take = (name: keyof Settings, sound: boolean) => {
    if (sound && raw[name] !== USUAL[name]) found[name] = raw[name];
  };
  take('protocol', PROTOCOLS.includes(raw.protocol as string));
  take('eve', typeof raw.eve === 'string' && /^[a-z-]{1,40}$/.test(raw.eve));
  take('hidden', raw.hidden === true);
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = raw[name as keyof typeof RANGES];
    const whole = name !== 'pulses' && name !== 'seed';
    take(
      name as keyof Settings,
      typeof value === 'number' &&
        value >= least &&
        value <= most &&
        (whole || Number.isInteger(value)),
    );
  }
  return found;
}

/** The settings of an address. */
export function settingsOf(search: Partial<Settings>): Settings {
  return { ...USUAL, ...search };
}

/** What is asked of the server: a setting that the experiment has no use for is as usual. */
export function askedOf(settings: Settings, offer: Schemas['ProtocolOffer']): Asked {
  const pulses = Math.min(settings.pulses, offer.most_pulses);
  const hidden = settings.hidden && offer.bell;
  const eve = !hidden && offer.eves.includes(settings.eve) ? settings.eve : null;
  const { km, efficiency, dark } = hidden ? USUAL : settings;
  const { share } = eve === null ? USUAL : settings;
  return { ...settings, pulses, km, efficiency, dark, eve, share, hidden };
}

export function anySeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

/** 1, 2, 5, 10 … between two numbers. */
export function steps(least: number, most: number): number[] {
  const found: number[] = [];
  for (let ten = least; ten <= most; ten *= 10)
    for (const digit of [1, 2, 5]) if (ten * digit <= most) found.push(ten * digit);
  return found;
}
