/** ML-KEM-768 and ML-DSA of @noble/post-quantum, for browsers that have none of their own. */

import { ml_dsa44, ml_dsa65 } from '@noble/post-quantum/ml-dsa.js';
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { ChatMisuse } from './errors';
import type { Lattice } from './lattice';

const OF = { 'ML-DSA-44': ml_dsa44, 'ML-DSA-65': ml_dsa65 };
const SIGNATURE_BYTES = { 'ML-DSA-44': 2420, 'ML-DSA-65': 3309 };

export const fallback: Lattice = {
  isNative: false,

  kemPublic: async (seed) => Uint8Array.from(ml_kem768.keygen(seed).publicKey),

  async encapsulate(publicKey) {
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey);
    return { ciphertext: Uint8Array.from(cipherText), secret: Uint8Array.from(sharedSecret) };
  },

  async decapsulate(seed, ciphertext) {
    return Uint8Array.from(ml_kem768.decapsulate(ciphertext, ml_kem768.keygen(seed).secretKey));
  },

  signingPublic: async (seed, kind = 'ML-DSA-65') =>
    Uint8Array.from(OF[kind].keygen(seed).publicKey),

  signingKey: async (seed) => seed,

  async sign(key, text, context, kind = 'ML-DSA-65') {
    if (key instanceof CryptoKey)
      throw new ChatMisuse("expected a seed, got a key of the browser's own, which it has no more");
    const { secretKey } = OF[kind].keygen(key);
    return Uint8Array.from(OF[kind].sign(text, secretKey, { context }));
  },

  async verify(publicKey, signature, text, context, kind = 'ML-DSA-65') {
    // Of another length the package throws, which would be no answer.
    if (signature.length !== SIGNATURE_BYTES[kind]) return false;
    return OF[kind].verify(signature, text, publicKey, { context });
  },
};
