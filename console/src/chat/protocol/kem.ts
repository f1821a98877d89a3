/**
 * X-Wing: a key encapsulation that holds if X25519 or ML-KEM-768 holds.
 *
 * A private key is its seed of 32 bytes. A ciphertext that was altered mostly gives another secret
 * and no error; only a later authentication tells.
 *
 * Source: draft-connolly-cfrg-xwing-kem; FIPS 203, 6.3 and 7.2; RFC 7748.
 */

import { sha3_256, shake256 } from '@noble/hashes/sha3.js';
import { type Bytes, join } from './bytes';
import { x25519, x25519Public } from './curve';
import { KemRefused } from './errors';
import { type Encapsulated, lattice } from './lattice';

export const SEED_BYTES = 32;
export const PUBLIC_BYTES = 1216;
export const CIPHERTEXT_BYTES = 1120;

const LATTICE_PUBLIC_BYTES = 1184;
const LATTICE_CIPHERTEXT_BYTES = 1088;
const LABEL = Uint8Array.of(0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c);
const PRIME = 3329;

function expand(seed: Bytes): { inner: Bytes; curve: Bytes } {
  const whole = Uint8Array.from(shake256(seed, { dkLen: 96 }));
  return { inner: whole.slice(0, 64), curve: whole.slice(64) };
}

function combine(inner: Bytes, curve: Bytes, ciphertext: Bytes, publicKey: Bytes): Bytes {
  return Uint8Array.from(sha3_256(join(inner, curve, ciphertext, publicKey, LABEL)));
}

/** The public key, 1216 bytes, of a seed. */
export async function publicOf(seed: Bytes): Promise<Bytes> {
  const { inner, curve } = expand(seed);
  return join(await (await lattice()).kemPublic(inner), await x25519Public(curve));
}

/**
 * Return only if something can be encapsulated to this key.
 *
 * @throws KemRefused for another length, or a coefficient that is out of range.
 */
export function checkPublic(key: Bytes): void {
  if (key.length !== PUBLIC_BYTES)
    throw new KemRefused(`expected a key of ${PUBLIC_BYTES} bytes, got ${key.length}`);
  // Two coefficients of twelve bits in three bytes; the last 32 of the half are a seed.
  for (let at = 0; at < LATTICE_PUBLIC_BYTES - 32; at += 3) {
    const [low = 0, middle = 0, high = 0] = key.subarray(at, at + 3);
    if ((low | ((middle & 15) << 8)) >= PRIME || ((middle >> 4) | (high << 4)) >= PRIME)
      throw new KemRefused('expected an ML-KEM-768 public key, got one out of range');
  }
}

/**
 * A fresh secret of 32 bytes that only the holder of the seed can recover, and its ciphertext.
 *
 * @throws KemRefused if the key is none, or its X25519 half is of low order.
 */
export async function encapsulate(key: Bytes): Promise<Encapsulated> {
  checkPublic(key);
  const { ciphertext, secret } = await (await lattice()).encapsulate(
    key.slice(0, LATTICE_PUBLIC_BYTES),
  );
  const publicKey = key.slice(LATTICE_PUBLIC_BYTES);
  const drawn = crypto.getRandomValues(new Uint8Array(32));
  const shared = await x25519(drawn, publicKey);
  const half = await x25519Public(drawn);
  return { ciphertext: join(ciphertext, half), secret: combine(secret, shared, half, publicKey) };
}

/** @throws KemRefused for another length, or an X25519 half of low order. */
export async function decapsulate(seed: Bytes, ciphertext: Bytes): Promise<Bytes> {
  if (ciphertext.length !== CIPHERTEXT_BYTES)
    throw new KemRefused(`expected ${CIPHERTEXT_BYTES} bytes, got ${ciphertext.length}`);
  const { inner, curve } = expand(seed);
  const half = ciphertext.slice(LATTICE_CIPHERTEXT_BYTES);
  const secret = await (await lattice()).decapsulate(
    inner,
    ciphertext.slice(0, LATTICE_CIPHERTEXT_BYTES),
  );
  return combine(secret, await x25519(curve, half), half, await x25519Public(curve));
}
