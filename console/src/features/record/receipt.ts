/**
 * A receipt: entry, proof and signed checkpoint in one file that verifies without this site.
 *
 * Source: C2SP tlog-proof, "Format"; the entry itself stands in the line for extra data.
 */

import type { Entry } from './queries';

export const SUFFIX = '.tlog-proof';

export function receipt(entry: Entry, checkpoint: string): string {
  const lines = [
    'c2sp.org/tlog-proof@v1',
    `extra ${entry.leaf}`,
    `index ${entry.number}`,
    ...entry.proof,
  ];
  return `${lines.join('\n')}\n\n${checkpoint}`;
}
