/** Which piece of time the charts show: they follow the newest, or stay where somebody looks. */

import { useCallback, useMemo, useState } from 'react';

export type Span = '300' | '3600' | 'all';
export type Range = readonly [from: number, to: number];

export interface View {
  span: Span;
  /** Seconds since 1970; null while the charts follow. */
  fixed: Range | null;
  choose: (span: Span) => void;
  zoom: (range: Range) => void;
  follow: () => void;
  pause: (shown: Range) => void;
}

export function useView(): View {
  const [span, setSpan] = useState<Span>('300');
  const [fixed, setFixed] = useState<Range | null>(null);
  const choose = useCallback((next: Span) => {
    setSpan(next);
    setFixed(null);
  }, []);
  const follow = useCallback(() => setFixed(null), []);
  return useMemo(
    () => ({ span, fixed, choose, zoom: setFixed, pause: setFixed, follow }),
    [span, fixed, choose, follow],
  );
}

/** What is shown at a moment. */
export function rangeOf(
  view: Pick<View, 'span' | 'fixed'>,
  now: number,
  first: number | undefined,
): Range {
  if (view.fixed !== null) return view.fixed;
  if (view.span !== 'all') return [now - Number(view.span), now];
  return [Math.min(first ?? now - 60, now - 60), now];
}

/** A stretch of time that the charts mark. */
export interface Region {
  from: number;
  to: number | null;
  kind: 'eve' | 'stop';
  label: string;
}

interface Happened {
  at: number;
  kind: string;
  text: string;
}

/** From each attack to the next reset, or until now. */
export function attacks(events: readonly Happened[]): Region[] {
  const found: Region[] = [];
  for (const { at, kind, text } of events) {
    if (kind !== 'attack' && kind !== 'reset') continue;
    const last = found.at(-1);
    if (last?.to === null) last.to = at;
    if (kind === 'attack') found.push({ from: at, to: null, kind: 'eve', label: text });
  }
  return found;
}

interface Was {
  at: number;
  status: 'GREEN' | 'YELLOW' | 'RED';
}

/** Stretches of one status, for the strip; the last goes on until now. */
export function stretches<T extends Was>(records: readonly T[]): (T & { to: number | null })[] {
  const found: (T & { to: number | null })[] = [];
  for (const record of records) {
    const last = found.at(-1);
    if (last?.status === record.status) continue;
    if (last) last.to = record.at;
    found.push({ ...record, to: null });
  }
  return found;
}

/** When no key left the link. */
export function stops(records: readonly Was[], label: string): Region[] {
  return stretches(records)
    .filter(({ status }) => status === 'RED')
    .map(({ at, to }) => ({ from: at, to, kind: 'stop', label }));
}
