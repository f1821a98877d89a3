/**
 * Keys to which a session is begun while their owner is away, each signed by the owner's identity.
 *
 * Source: Kret and Schmidt, "The PQXDH Key Agreement Protocol", 2023 (signed and one-time prekeys);
 * spec/chat.md, 2.
 */

import { toHex } from '../../shared/merkle';
import { ascii, type Bytes, big, equal, isZero, join, Reader } from './bytes';
import { type Draws, fresh } from './draws';
import { BundleRefused, KemRefused } from './errors';
import { IDENTITY_BYTES, type Identity, IdentityPublic, SIGNATURE_BYTES } from './identity';
import { checkPublic, PUBLIC_BYTES, publicOf, SEED_BYTES } from './kem';

export const PREKEY_ID_BYTES = 16;
export const LASTING = 1;
export const ONE_TIME = 2;
export type PrekeyKind = typeof LASTING | typeof ONE_TIME;

const SIGNED_BYTES = 1 + PREKEY_ID_BYTES + 8 + PUBLIC_BYTES;
export const PREKEY_BYTES = SIGNED_BYTES + SIGNATURE_BYTES;
const LABEL = ascii('bellwire chat prekey 1');
const MAGIC = join(ascii('bwpk'), Uint8Array.of(1));
const BUNDLE_BYTES = MAGIC.length + IDENTITY_BYTES + PREKEY_BYTES;

/** The public half of a prekey. */
export interface Prekey {
  /** How often it serves. */
  readonly kind: PrekeyKind;
  readonly id: Bytes;
  /** Seconds since the epoch; from then on it does not count. */
  readonly notAfter: number;
  readonly publicKey: Bytes;
  /** All of it, with its owner's signature: 4614 bytes. */
  readonly encoded: Bytes;
}

/** A prekey with its private half, an X-Wing seed of 32 bytes. */
export interface PrekeySecret {
  readonly prekey: Prekey;
  readonly seed: Bytes;
}

/** What is needed to begin a session with somebody: verified, and of that identity. */
export interface Bundle {
  readonly identity: IdentityPublic;
  readonly lasting: Prekey;
  readonly oneTime: Prekey | null;
}

/** A new prekey of this identity. */
export async function makePrekey(
  identity: Identity,
  kind: PrekeyKind,
  notAfter: number,
  draws: Draws = fresh,
): Promise<PrekeySecret> {
  const [seed, id] = [draws.bytes(SEED_BYTES), draws.bytes(PREKEY_ID_BYTES)];
  const publicKey = await publicOf(seed);
  const text = join(Uint8Array.of(kind), id, big(notAfter, 8), publicKey);
  const encoded = join(text, await identity.sign(text, LABEL));
  return { prekey: { kind, id, notAfter, publicKey, encoded }, seed };
}

/**
 * A prekey of `owner` that counts at `now`, in seconds since the epoch.
 *
 * @throws BundleRefused if it is malformed, of the other kind, expired, or not signed by the owner.
 */
export async function readPrekey(
  encoded: Bytes,
  owner: IdentityPublic,
  kind: PrekeyKind,
  now: number,
): Promise<Prekey> {
  if (encoded.length !== PREKEY_BYTES)
    throw new BundleRefused(`expected a prekey of ${PREKEY_BYTES} bytes, got ${encoded.length}`);
  const reader = new Reader(encoded);
  const found = reader.number(1);
  const id = reader.take(PREKEY_ID_BYTES);
  const notAfter = reader.number(8);
  const publicKey = reader.take(PUBLIC_BYTES);
  if (found !== kind || isZero(id))
    throw new BundleRefused('expected a prekey of this kind, got another');
  await owner.verify(reader.rest(), encoded.slice(0, SIGNED_BYTES), LABEL);
  if (now >= notAfter)
    throw new BundleRefused('expected a prekey that is valid now, got one that has expired');
  try {
    checkPublic(publicKey);
  } catch (error) {
    if (!(error instanceof KemRefused)) throw error;
    throw new BundleRefused('expected a prekey to encapsulate to, got a malformed one');
  }
  return { kind, id, notAfter, publicKey, encoded };
}

/** As it is carried; the receiver verifies it with `readBundle`. */
export function encodeBundle({ identity, lasting, oneTime }: Bundle): Bytes {
  return join(MAGIC, identity.bytes, lasting.encoded, oneTime?.encoded ?? new Uint8Array());
}

/**
 * The keys of the identity that has this fingerprint, verified.
 *
 * @throws BundleRefused if they are malformed, another's, expired, or not signed by it.
 */
export async function readBundle(encoded: Bytes, fingerprint: Bytes, now: number): Promise<Bundle> {
  const reader = new Reader(encoded);
  const whole = [BUNDLE_BYTES, BUNDLE_BYTES + PREKEY_BYTES].includes(encoded.length);
  if (!whole || !equal(reader.take(MAGIC.length), MAGIC))
    throw new BundleRefused(
      `expected a bundle of ${BUNDLE_BYTES} or ${BUNDLE_BYTES + PREKEY_BYTES} bytes, ` +
        `got ${encoded.length} bytes or another version`,
    );
  const identity = await IdentityPublic.read(reader.take(IDENTITY_BYTES));
  if (!equal(identity.fingerprint, fingerprint))
    throw new BundleRefused(
      `expected the keys of ${toHex(fingerprint).slice(0, 16)}…, got another identity's`,
    );
  const lasting = await readPrekey(reader.take(PREKEY_BYTES), identity, LASTING, now);
  const oneTime = reader.left ? await readPrekey(reader.rest(), identity, ONE_TIME, now) : null;
  return { identity, lasting, oneTime };
}
