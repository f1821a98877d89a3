/** What the protocol draws; it is handed in, so that known answers can be replayed. */

import type { Bytes } from './bytes';
import { encapsulate } from './kem';
import type { Encapsulated } from './lattice';

export interface Draws {
  bytes(length: number): Bytes;
  encapsulate(key: Bytes): Promise<Encapsulated>;
}

/** From the browser's generator. */
export const fresh: Draws = {
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  encapsulate,
};
