/** The way of a session from light to pad, in a few words each, as far as it has come. */

import type { SessionNow } from '../../chat/state/talk';
import { count, decimal, percent } from '../../shared/format';
import { chat as say } from '../../texts/chat';

/** Steps of a session, in their order; `disclosure` is for one that gives nothing. */
export const STEPS = [
  'opening',
  'detections',
  'slots',
  'settings',
  'test',
  'disclosure',
  'reconciliation',
  'verification',
  'authentication',
  'storage',
] as const;

export type Reached = 'done' | 'now' | 'ahead';

export interface Station {
  readonly name: string;
  /** What is known there; empty: nothing yet, or nothing is measured. */
  readonly value: string;
  readonly reached: Reached;
}

const at = (step: string) => STEPS.indexOf(step as (typeof STEPS)[number]);

/** Whether a session is past some step, in it, or before. */
export function reached(session: SessionNow, first: string, last = first): Reached {
  const here = at(session.step);
  if (here > at(last)) return 'done';
  return here < at(first) ? 'ahead' : 'now';
}

/** Pairs, bases, sift, S, error rate and pad. */
export function stations(session: SessionNow): Station[] {
  const { pairs, sifted_bits: sifted, s, qber } = session;
  const known = (value: number | null, words: string) => (value ? words : '');
  return [
    { name: say.now.pairs, value: count(pairs), reached: reached(session, 'opening', 'slots') },
    { name: say.now.bases, value: '', reached: reached(session, 'settings') },
    {
      name: say.now.sift,
      value: known(sifted, count(sifted)),
      reached: reached(session, 'test'),
    },
    { name: say.now.s, value: known(s, decimal(s)), reached: reached(session, 'test') },
    {
      name: say.now.qber,
      value: qber === null ? '' : percent(qber),
      reached: reached(session, 'disclosure', 'reconciliation'),
    },
    { name: say.now.pad, value: '', reached: reached(session, 'verification', 'storage') },
  ];
}
