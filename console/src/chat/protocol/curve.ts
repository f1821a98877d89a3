/**
 * X25519 and Ed25519, the browser's own, from private keys of 32 bytes.
 *
 * Source: RFC 7748; RFC 8032; RFC 8410, 7 (the form in which a private key is read).
 */

import { fromBase64Url } from './base64';
import { type Bytes, join } from './bytes';
import { KemRefused } from './errors';

type Curve = 'X25519' | 'Ed25519';

// RFC 8410: what stands before the key itself; the two differ in one byte, the algorithm's.
const ID: Record<Curve, number> = { X25519: 0x6e, Ed25519: 0x70 };

async function privateKey(
  curve: Curve,
  raw: Bytes,
  extractable: boolean,
  use: KeyUsage,
): Promise<CryptoKey> {
  const before = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, ID[curve], 4, 0x22, 4, 0x20];
  const whole = join(Uint8Array.from(before), raw);
  return crypto.subtle.importKey('pkcs8', whole, curve, extractable, [use]);
}

async function publicOf(curve: Curve, raw: Bytes, use: KeyUsage): Promise<Bytes> {
  const { x } = await crypto.subtle.exportKey('jwk', await privateKey(curve, raw, true, use));
  return fromBase64Url(x ?? '');
}

/** The public key, 32 bytes, of a private one. */
export function x25519Public(raw: Bytes): Promise<Bytes> {
  return publicOf('X25519', raw, 'deriveBits');
}

/** @throws KemRefused if the public key is of low order. */
export async function x25519(raw: Bytes, other: Bytes): Promise<Bytes> {
  const own = await privateKey('X25519', raw, false, 'deriveBits');
  const theirs = await crypto.subtle.importKey('raw', other, 'X25519', false, []);
  try {
    const how = { name: 'X25519', public: theirs };
    return new Uint8Array(await crypto.subtle.deriveBits(how, own, 256));
  } catch (error) {
    if (error instanceof DOMException && error.name === 'OperationError')
      throw new KemRefused('expected a key of full order, got one of low order');
    throw error;
  }
}

/** The public key, 32 bytes, of a seed. */
export function ed25519Public(seed: Bytes): Promise<Bytes> {
  return publicOf('Ed25519', seed, 'sign');
}

/** What signs; the seed cannot be read back out of it. */
export function ed25519Key(seed: Bytes): Promise<CryptoKey> {
  return privateKey('Ed25519', seed, false, 'sign');
}

export async function ed25519Sign(key: CryptoKey, text: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign('Ed25519', key, text));
}

export async function ed25519Verify(key: Bytes, signature: Bytes, text: Bytes): Promise<boolean> {
  let imported: CryptoKey;
  try {
    imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'DataError') return false; // no point
    throw error;
  }
  return crypto.subtle.verify('Ed25519', imported, signature, text);
}
