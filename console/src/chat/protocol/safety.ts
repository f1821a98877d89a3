/**
 * What two people compare to be sure that nobody is in between: sixty digits, or a code to scan.
 *
 * Source: spec/chat.md, 6; the display in twelve groups of five follows Signal's safety numbers.
 */

import { ascii, type Bytes, compare, join, Reader } from './bytes';
import { sha512 } from './suite';

const GROUPS = 12;
const LABEL = ascii('bellwire chat safety 1');
const MAGIC = join(ascii('bwsn'), Uint8Array.of(1));

/** Twelve groups of five digits, the same whichever of the two fingerprints comes first. */
export async function safetyNumber(one: Bytes, other: Bytes): Promise<string> {
  const [lesser, greater] = compare(one, other) < 0 ? [one, other] : [other, one];
  const reader = new Reader(await sha512(LABEL, lesser, greater));
  return Array.from({ length: GROUPS }, () => {
    const number = reader.take(5).reduce((sum, byte) => sum * 256 + byte, 0);
    return String(number % 100_000).padStart(5, '0');
  }).join(' ');
}

/** What our QR code says: who we are, and whom we take the other one for; 69 bytes. */
export function safetyCode(own: Bytes, peer: Bytes): Bytes {
  return join(MAGIC, own, peer);
}
