/**
 * Who we are in this browser: an identity whose keys no script can read, and prekeys.
 *
 * A browser without ML-DSA of its own has only the seed of that half, which stands in the vault like
 * everything else.
 */

import { toHex } from '../../shared/merkle';
import type { Bytes } from '../protocol/bytes';
import { type Identity, IdentityPublic, identityWith, keysOf } from '../protocol/identity';
import {
  type Bundle,
  LASTING,
  makePrekey,
  ONE_TIME,
  type PrekeyKind,
  type PrekeySecret,
} from '../protocol/prekeys';
import { type Change, Conflict, type Vault } from './vault';

const IDENTITY = 'identity';
const CURVE = 'ed25519';
const LATTICE = 'ml-dsa-65';
export const PREKEY = 'prekey';

interface IdentityRecord {
  readonly bytes: Bytes;
  /** Where the browser has no key of its own. */
  readonly seed: Bytes | null;
}

/** What an identity is for: to people, we are one; to a relay, another that says nothing of it. */
type Purpose = 'own' | 'relay';

/** Our identity in this vault; made the first time. */
export async function ownIdentity(vault: Vault, purpose: Purpose = 'own'): Promise<Identity> {
  return (await kept(vault, purpose)) ?? (await made(vault, purpose));
}

/** Under which name a key of it is kept. */
const keyName = (name: string, purpose: Purpose) =>
  purpose === 'own' ? name : `${name} ${purpose}`;

async function kept(vault: Vault, purpose: Purpose): Promise<Identity | null> {
  const found = await vault.read<IdentityRecord>(IDENTITY, purpose);
  if (!found) return null;
  const curve = await vault.key(keyName(CURVE, purpose));
  const lattice = found.value.seed ?? (await vault.key(keyName(LATTICE, purpose)));
  if (!curve || !lattice) throw new Error('expected the keys of our identity, got none');
  return identityWith(await IdentityPublic.read(found.value.bytes), { curve, lattice });
}

async function made(vault: Vault, purpose: Purpose): Promise<Identity> {
  const seed = crypto.getRandomValues(new Uint8Array(64));
  const { own, keys } = await keysOf(seed);
  const isNative = keys.lattice instanceof CryptoKey;
  const value: IdentityRecord = { bytes: own.bytes, seed: isNative ? null : seed.slice(32) };
  seed.fill(0);
  const change: Change = { kind: IDENTITY, key: purpose, value, expected: 0 };
  const lattice =
    keys.lattice instanceof CryptoKey ? { [keyName(LATTICE, purpose)]: keys.lattice } : {};
  try {
    await vault.commit([change], { [keyName(CURVE, purpose)]: keys.curve, ...lattice });
  } catch (error) {
    if (!(error instanceof Conflict)) throw error;
  }
  const counts = await kept(vault, purpose); // that of another window, if it was there before
  if (!counts) throw new Error('expected the identity that was written, got none');
  return counts;
}

/** A new prekey of ours, on the disk before anybody is given it. */
export async function keepPrekey(
  vault: Vault,
  identity: Identity,
  kind: PrekeyKind,
  notAfter: number,
): Promise<PrekeySecret> {
  const secret = await makePrekey(identity, kind, notAfter);
  const key = toHex(secret.prekey.id);
  await vault.commit([{ kind: PREKEY, key, value: secret, expected: 0 }]);
  return secret;
}

/**
 * What somebody needs to begin a session with us: a lasting prekey that counts for a while yet, and
 * a one-time prekey that nobody else gets.
 *
 * @param now Seconds since the epoch.
 */
export async function freshBundle(
  vault: Vault,
  identity: Identity,
  now: number,
  lifeS: number,
): Promise<Bundle> {
  const notAfter = Math.floor(now) + lifeS;
  const all = (await vault.list<PrekeySecret>(PREKEY)).map(({ value }) => value);
  const counts = all.filter(({ prekey }) => prekey.notAfter > now + lifeS / 2);
  const lasting =
    counts.find(({ prekey }) => prekey.kind === LASTING) ??
    (await keepPrekey(vault, identity, LASTING, notAfter));
  const oneTime = await keepPrekey(vault, identity, ONE_TIME, notAfter);
  return { identity: identity.public, lasting: lasting.prekey, oneTime: oneTime.prekey };
}
