import type { Device } from './queries';

export type Shield = 'none' | 'lattice' | 'quantum';

/** What a session rests on, in one word: every one has ML-KEM-768, some a quantum key as well. */
export function shieldOf({ protection }: Pick<Device, 'protection'>): Shield {
  if (protection == null) return 'none';
  return protection.qkd_keys > 0 ? 'quantum' : 'lattice';
}
