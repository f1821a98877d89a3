/**
 * ML-KEM-768 and ML-DSA of the browser.
 *
 * Source: FIPS 203; FIPS 204; WICG, "Modern Algorithms in the Web Cryptography API".
 */

import { fromBase64Url } from './base64';
import type { Bytes } from './bytes';
import type { Lattice } from './lattice';

const KEM = 'ML-KEM-768';
const DSA = 'ML-DSA-65';

// TypeScript's own description has not got these yet.
interface ModernSubtle {
  importKey(
    format: 'raw-public' | 'raw-seed',
    data: Bytes,
    algorithm: string,
    extractable: boolean,
    uses: readonly string[],
  ): Promise<CryptoKey>;
  exportKey(format: 'jwk', key: CryptoKey): Promise<{ pub?: string }>;
  encapsulateBits(
    algorithm: string,
    key: CryptoKey,
  ): Promise<{ ciphertext: ArrayBuffer; sharedKey: ArrayBuffer }>;
  decapsulateBits(algorithm: string, key: CryptoKey, ciphertext: Bytes): Promise<ArrayBuffer>;
  sign(how: { name: string; context: Bytes }, key: CryptoKey, text: Bytes): Promise<ArrayBuffer>;
  verify(
    how: { name: string; context: Bytes },
    key: CryptoKey,
    signature: Bytes,
    text: Bytes,
  ): Promise<boolean>;
}

const subtle = () => crypto.subtle as unknown as ModernSubtle;

async function publicOf(algorithm: string, seed: Bytes, use: string): Promise<Bytes> {
  const key = await subtle().importKey('raw-seed', seed, algorithm, true, [use]);
  return fromBase64Url((await subtle().exportKey('jwk', key)).pub ?? '');
}

export const native: Lattice & { isThere: () => Promise<boolean> } = {
  isNative: true,

  /** Whether both work here, tried rather than guessed from the browser's name. */
  async isThere() {
    if (typeof subtle().encapsulateBits !== 'function') return false;
    try {
      const publicKey = await native.kemPublic(crypto.getRandomValues(new Uint8Array(64)));
      await native.encapsulate(publicKey);
      const seed = crypto.getRandomValues(new Uint8Array(32));
      await native.sign(await native.signingKey(seed), publicKey, new Uint8Array(1));
      return publicKey.length === 1184 && (await native.signingPublic(seed)).length === 1952;
    } catch {
      return false;
    }
  },

  kemPublic: (seed) => publicOf(KEM, seed, 'decapsulateBits'),

  async encapsulate(publicKey) {
    const key = await subtle().importKey('raw-public', publicKey, KEM, false, ['encapsulateBits']);
    const { ciphertext, sharedKey } = await subtle().encapsulateBits(KEM, key);
    return { ciphertext: new Uint8Array(ciphertext), secret: new Uint8Array(sharedKey) };
  },

  async decapsulate(seed, ciphertext) {
    const key = await subtle().importKey('raw-seed', seed, KEM, false, ['decapsulateBits']);
    return new Uint8Array(await subtle().decapsulateBits(KEM, key, ciphertext));
  },

  signingPublic: (seed, kind = DSA) => publicOf(kind, seed, 'sign'),

  signingKey: (seed, kind = DSA) => subtle().importKey('raw-seed', seed, kind, false, ['sign']),

  async sign(key, text, context, kind = DSA) {
    const own =
      key instanceof CryptoKey ? key : ((await native.signingKey(key, kind)) as CryptoKey);
    return new Uint8Array(await subtle().sign({ name: kind, context }, own, text));
  },

  async verify(publicKey, signature, text, context, kind = DSA) {
    let key: CryptoKey;
    try {
      key = await subtle().importKey('raw-public', publicKey, kind, false, ['verify']);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'DataError') return false;
      throw error;
    }
    return subtle().verify({ name: kind, context }, key, signature, text);
  },
};
