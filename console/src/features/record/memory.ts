/** The checkpoint that this browser saw last, of each log: public, and kept until it is forgotten. */

import type { Checkpoint } from '../../shared/note';

const PREFIX = 'bellwire checkpoint of ';

export function recall(origin: string): Checkpoint | null {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PREFIX + origin) ?? 'null');
    if (typeof found !== 'object' || found === null) return null;
    const { size, root } = found as Partial<Checkpoint>;
    return Number.isSafeInteger(size) && typeof root === 'string'
      ? { origin, size: size as number, root }
      : null;
  } catch {
    return null;
  }
}

/** Unless another window has seen more meanwhile. */
export function remember({ origin, size, root }: Checkpoint): void {
  if ((recall(origin)?.size ?? 0) <= size)
    localStorage.setItem(PREFIX + origin, JSON.stringify({ size, root }));
}

export function forget(origin: string): void {
  localStorage.removeItem(PREFIX + origin);
}
