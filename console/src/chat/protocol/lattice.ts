/**
 * ML-KEM-768 and ML-DSA: the browser's own where it has them, else those of a package.
 *
 * Source: FIPS 203; FIPS 204; the package's stand in a file of their own, which only the browsers
 * load that need it.
 */

import type { Bytes } from './bytes';
import { native } from './native';

/** Messages are signed by ML-DSA-65, which is meant where none is said. */
export type Signing = 'ML-DSA-44' | 'ML-DSA-65';

export interface Encapsulated {
  ciphertext: Bytes;
  secret: Bytes;
}

export interface Lattice {
  /** Whether the browser brings it. */
  readonly isNative: boolean;
  /** The public key, 1184 bytes, of a seed of 64. */
  kemPublic(seed: Bytes): Promise<Bytes>;
  /** To a public key whose coefficients are in range. */
  encapsulate(publicKey: Bytes): Promise<Encapsulated>;
  /** The secret of a ciphertext of 1088 bytes; of one that was altered, another (FIPS 203, 6.3). */
  decapsulate(seed: Bytes, ciphertext: Bytes): Promise<Bytes>;
  /** The public key, 1952 bytes (of ML-DSA-44 1312), of a seed of 32. */
  signingPublic(seed: Bytes, kind?: Signing): Promise<Bytes>;
  /** What signs; the seed cannot be read back out of the browser's own. */
  signingKey(seed: Bytes, kind?: Signing): Promise<SigningKey>;
  sign(key: SigningKey, text: Bytes, context: Bytes, kind?: Signing): Promise<Bytes>;
  /** Whether the signature holds; not for one of another length, or a key that is none. */
  verify(
    key: Bytes,
    signature: Bytes,
    text: Bytes,
    context: Bytes,
    kind?: Signing,
  ): Promise<boolean>;
}

/** A key of the browser's; the package has no other form than the seed. Secret. */
export type SigningKey = CryptoKey | Bytes;

let chosen: Promise<Lattice> | undefined;

/** What this browser has. */
export function lattice(): Promise<Lattice> {
  chosen ??= choose();
  return chosen;
}

async function choose(): Promise<Lattice> {
  if (await native.isThere()) return native;
  return (await import('./fallback')).fallback;
}
