/** Results as a table for other programs. */

import type { Schemas } from '../../api/client';

type Result = Schemas['ExperimentView'];

const COLUMNS: Record<string, (each: Result) => string | number | boolean | null | undefined> = {
  protocol: ({ asked }) => asked.protocol,
  pulses: ({ asked }) => asked.pulses,
  seed: ({ asked }) => asked.seed,
  km: ({ asked }) => asked.km,
  efficiency: ({ asked }) => asked.efficiency,
  dark: ({ asked }) => asked.dark,
  misalignment: ({ asked }) => asked.misalignment,
  eve: ({ asked }) => asked.eve ?? 'none',
  eve_share: ({ asked }) => (asked.eve ? asked.share : 0),
  engine: ({ asked }) => (asked.hidden ? 'hidden-variables' : 'fast'),
  detections: (each) => each.detections,
  sifted_bits: (each) => each.sifted_bits,
  qber: ({ qber }) => qber?.value,
  qber_stderr: ({ qber }) => qber?.stderr,
  qber_theory: ({ qber }) => qber?.theory,
  chsh: ({ chsh }) => chsh?.value,
  chsh_stderr: ({ chsh }) => chsh?.stderr,
  chsh_theory: ({ chsh }) => chsh?.theory,
  secret_bits: (each) => each.secret_bits,
  secret_rate_bps: (each) => each.secret_rate_bps,
  key_per_pulse: (each) => each.key_per_pulse?.value,
  key_theory: (each) => each.key_per_pulse?.theory,
  verdict: (each) => each.verdict,
  reason: (each) => each.reason,
  command: (each) => each.command,
};

function cell(value: unknown): string {
  const text = value == null ? '' : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A line of names, and one of each result. */
export function csv(results: readonly Result[]): string {
  const rows = results.map((each) => Object.values(COLUMNS).map((value) => cell(value(each))));
  return [Object.keys(COLUMNS), ...rows].map((row) => `${row.join(',')}\n`).join('');
}
