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
/** How long the keys of a contact link hold. */
export const LINK_S = 30 * 86_400;

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

/** New prekeys of ours, on the disk before anybody is given them. */
export async function keepPrekeys(
  vault: Vault,
  identity: Identity,
  kind: PrekeyKind,
  notAfter: number,
  many: number,
): Promise<readonly PrekeySecret[]> {
  const made: PrekeySecret[] = [];
  while (made.length < many) made.push(await makePrekey(identity, kind, notAfter));
  const change = (value: PrekeySecret): Change => {
    return { kind: PREKEY, key: toHex(value.prekey.id), value, expected: 0 };
  };
  await vault.commit(made.map(change));
  return made;
}

/** One of them. */
export async function keepPrekey(
  vault: Vault,
  identity: Identity,
  kind: PrekeyKind,
  notAfter: number,
): Promise<PrekeySecret> {
  const [made] = await keepPrekeys(vault, identity, kind, notAfter, 1);
  if (!made) throw new Error('expected the prekey that was made, got none');
  return made;
}

/**
 * The lasting prekey that counts for a while yet: another, once half of its time has gone.
 *
 * @param now Seconds since the epoch.
 */
export async function lastingPrekey(
  vault: Vault,
  identity: Identity,
  now: number,
  lifeS: number,
): Promise<PrekeySecret> {
  const all = (await vault.list<PrekeySecret>(PREKEY)).map(({ value }) => value);
  const counts = ({ kind, notAfter }: PrekeySecret['prekey']) =>
    kind === LASTING && notAfter > now + lifeS / 2;
  const found = all.find(({ prekey }) => counts(prekey));
  return found ?? (await keepPrekey(vault, identity, LASTING, Math.floor(now) + lifeS));
}

/** What begins no session any more is destroyed. */
export async function dropExpired(vault: Vault, now: number): Promise<void> {
  const all = await vault.list<PrekeySecret>(PREKEY);
  const over = all.filter(({ value }) => value.prekey.notAfter <= now);
  const gone = ({ key, version }: (typeof over)[number]): Change => {
    return { kind: PREKEY, key, value: null, expected: version };
  };
  if (over.length > 0) await vault.commit(over.map(gone));
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
  const lasting = await lastingPrekey(vault, identity, now, lifeS);
  const oneTime = await keepPrekey(vault, identity, ONE_TIME, Math.floor(now) + lifeS);
  return { identity: identity.public, lasting: lasting.prekey, oneTime: oneTime.prekey };
}
