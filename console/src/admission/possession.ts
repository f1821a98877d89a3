/** What proofs of possession are made over. Source: spec/admission.md. */

import { ascii, type Bytes, big } from '../chat/protocol/bytes';
import { sha512 } from '../chat/protocol/suite';

export const LABEL = ascii('bellwire admission possession 1');

export type ByKind = Readonly<Record<string, Bytes>>;

/** The hash of all that a challenge is, each part with its length. */
export function transcript(
  server: string,
  handle: string,
  keys: ByKind,
  nonce: Bytes,
  ciphertexts: ByKind,
): Promise<Bytes> {
  const parts = [ascii(server), ascii(handle), nonce];
  for (const group of [keys, ciphertexts]) {
    const kinds = Object.keys(group).sort();
    parts.push(big(kinds.length, 1));
    for (const kind of kinds) parts.push(ascii(kind), group[kind] ?? new Uint8Array());
  }
  return sha512(LABEL, ...parts.flatMap((part) => [big(part.length, 4), part]));
}
