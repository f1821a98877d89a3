/**
 * Hashes, keys and sealing, all of them the browser's own.
 *
 * Source: FIPS 180-4; RFC 2104; RFC 5869; NIST SP 800-38D; spec/chat.md.
 */

import { type Bytes, join, zeros } from './bytes';
import { NotAuthentic } from './errors';

export const NONCE_BYTES = 12;
export const GCM_TAG_BYTES = 16;

async function digest(name: 'SHA-256' | 'SHA-512', parts: readonly Uint8Array[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest(name, join(...parts)));
}

export function sha256(...parts: readonly Uint8Array[]): Promise<Bytes> {
  return digest('SHA-256', parts);
}

export function sha512(...parts: readonly Uint8Array[]): Promise<Bytes> {
  return digest('SHA-512', parts);
}

/** HMAC-SHA256; no key is one of zeros, which RFC 2104 makes the same. */
export async function hmac(key: Bytes, text: Bytes): Promise<Bytes> {
  const how = { name: 'HMAC', hash: 'SHA-256' };
  const raw = key.length ? key : zeros(32);
  const imported = await crypto.subtle.importKey('raw', raw, how, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, text));
}

/**
 * HKDF-SHA256 of RFC 5869: `length` bytes from `ikm`, other ones for any other `info`.
 *
 * By HMAC, as not every platform's own HKDF takes an `info` over 1,024 bytes; that of a step has
 * 2,382.
 */
export async function hkdf(salt: Bytes, ikm: Bytes, info: Bytes, length: number): Promise<Bytes> {
  const key = await hmac(salt, ikm);
  const blocks: Bytes[] = [];
  for (let at = 0; at < length; at += 32) {
    const counter = Uint8Array.of(blocks.length + 1);
    blocks.push(await hmac(key, join(blocks.at(-1) ?? zeros(0), info, counter)));
  }
  return join(...blocks).slice(0, length);
}

function gcm(key: Bytes, use: 'encrypt' | 'decrypt'): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', key, 'AES-GCM', false, [use]);
}

/** AES-256-GCM; the tag of 16 bytes stands behind. A key and a nonce serve once. */
export async function seal(key: Bytes, nonce: Bytes, text: Bytes, ad: Bytes): Promise<Bytes> {
  const how = { name: 'AES-GCM', iv: nonce, additionalData: ad };
  return new Uint8Array(await crypto.subtle.encrypt(how, await gcm(key, 'encrypt'), text));
}

/**
 * Undo `seal`.
 *
 * @throws NotAuthentic if anything of it was altered, or the key is another.
 */
export async function openSealed(
  key: Bytes,
  nonce: Bytes,
  sealed: Bytes,
  ad: Bytes,
): Promise<Bytes> {
  const how = { name: 'AES-GCM', iv: nonce, additionalData: ad };
  const imported = await gcm(key, 'decrypt');
  try {
    return new Uint8Array(await crypto.subtle.decrypt(how, imported, sealed));
  } catch (error) {
    // The platform says nothing else of a tag that does not hold.
    if (error instanceof DOMException && error.name === 'OperationError')
      throw new NotAuthentic('expected what was sealed under this key, got something else');
    throw error;
  }
}
