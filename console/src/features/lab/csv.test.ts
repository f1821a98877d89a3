import { expect, it } from 'vitest';
import type { Schemas } from '../../api/client';
import { csv } from './csv';

const RESULT: Schemas['ExperimentView'] = {
  asked: {
    protocol: 'e91',
    seed: 1,
    pulses: 1000,
    km: 0,
    efficiency: 1,
    dark: 0,
    misalignment: 0.02,
    eve: 'ghz',
    share: 0.5,
    hidden: false,
  },
  detections: 1000,
  sifted_bits: 220,
  qber: { value: 0.1, stderr: 0.02, theory: 0.11 },
  chsh: null,
  key_per_pulse: null,
  secret_bits: 0,
  secret_rate_bps: 0,
  verdict: 'abort',
  reason: 'S = 1.9, "too low"',
  keys_match: null,
  correlations: [],
  red_qber: 0.11,
  more: null,
  wall_s: 0.1,
  command: 'bellwire lab run e91',
  python: '',
};

it('a result is a line, whatever its words hold', () => {
  const [names, line, rest] = csv([RESULT]).split('\n');
  expect(names?.startsWith('protocol,pulses,seed,km')).toBe(true);
  expect(line).toContain('ghz,0.5,fast,1000,220,0.1,0.02,0.11,,,,0,0,,,abort');
  expect(line).toContain('"S = 1.9, ""too low"""');
  expect(rest).toBe('');
});
