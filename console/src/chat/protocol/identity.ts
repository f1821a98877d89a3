/**
 * Who somebody is: a pair of signing keys, Ed25519 and ML-DSA-65, which count only together.
 *
 * Source: RFC 8032; FIPS 204; spec/chat.md, 1.
 */

import { toHex } from '../../shared/merkle';
import { type Bytes, big, equal, join } from './bytes';
import { ed25519Key, ed25519Public, ed25519Sign, ed25519Verify } from './curve';
import { BundleRefused, ChatMisuse } from './errors';
import { lattice, type SigningKey } from './lattice';
import { sha256 } from './suite';

const CURVE_BYTES = 32;
const LATTICE_BYTES = 1952;
const CURVE_SIGNATURE_BYTES = 64;

export const IDENTITY_BYTES = CURVE_BYTES + LATTICE_BYTES;
export const SIGNATURE_BYTES = CURVE_SIGNATURE_BYTES + 3309;
export const FINGERPRINT_BYTES = 32;

/** Somebody's identity, or the public half of ours. */
export class IdentityPublic {
  private constructor(
    readonly bytes: Bytes,
    readonly fingerprint: Bytes,
  ) {}

  /** @throws ChatMisuse for another length than 1984. */
  static async read(bytes: Bytes): Promise<IdentityPublic> {
    if (bytes.length !== IDENTITY_BYTES)
      throw new ChatMisuse(`expected an identity of ${IDENTITY_BYTES} bytes, got ${bytes.length}`);
    const [curve, key] = [bytes.slice(0, CURVE_BYTES), bytes.slice(CURVE_BYTES)];
    const name = await sha256(big(CURVE_BYTES, 2), curve, big(LATTICE_BYTES, 2), key);
    return new IdentityPublic(bytes, name);
  }

  is(other: IdentityPublic): boolean {
    return equal(this.bytes, other.bytes);
  }

  /**
   * Return only if this identity signed the text for the label, with both keys.
   *
   * @throws BundleRefused otherwise.
   */
  async verify(signature: Bytes, text: Bytes, label: Bytes): Promise<void> {
    const named = join(this.fingerprint, text);
    const [curve, key] = [this.bytes.slice(0, CURVE_BYTES), this.bytes.slice(CURVE_BYTES)];
    const first = signature.slice(0, CURVE_SIGNATURE_BYTES);
    const second = signature.slice(CURVE_SIGNATURE_BYTES);
    const holds =
      signature.length === SIGNATURE_BYTES &&
      (await ed25519Verify(curve, first, join(label, named))) &&
      (await (await lattice()).verify(key, second, named, label));
    if (!holds) {
      const short = toHex(this.fingerprint).slice(0, 16);
      throw new BundleRefused(`expected both signatures of the identity ${short}…, got others`);
    }
  }
}

/** Our own identity: what is public of it, and what signs. */
export interface Identity {
  readonly public: IdentityPublic;
  /** Both signatures of a text for one purpose, 3373 bytes. */
  sign(text: Bytes, label: Bytes): Promise<Bytes>;
}

/** What an identity signs with. Secret; of the browser's own, nothing can be read out. */
export interface IdentityKeys {
  readonly curve: CryptoKey;
  readonly lattice: SigningKey;
}

/** The identity that has these keys. */
export function identityWith(own: IdentityPublic, keys: IdentityKeys): Identity {
  return {
    public: own,
    async sign(text, label) {
      const named = join(own.fingerprint, text);
      const first = await ed25519Sign(keys.curve, join(label, named));
      return join(first, await (await lattice()).sign(keys.lattice, named, label));
    },
  };
}

/**
 * The keys of a seed of 64 bytes: that of Ed25519, then that of ML-DSA-65.
 *
 * @throws ChatMisuse for another length.
 */
export async function keysOf(seed: Bytes): Promise<{ own: IdentityPublic; keys: IdentityKeys }> {
  if (seed.length !== 64) throw new ChatMisuse(`expected a seed of 64 bytes, got ${seed.length}`);
  const [first, second] = [seed.slice(0, 32), seed.slice(32)];
  const source = await lattice();
  const bytes = join(await ed25519Public(first), await source.signingPublic(second));
  const keys = { curve: await ed25519Key(first), lattice: await source.signingKey(second) };
  return { own: await IdentityPublic.read(bytes), keys };
}
