/**
 * Who is in a group, signed by its admin: a roster, and which one may follow which.
 *
 * One admin at a time changes it. Each roster has a number and the hash of the one before, so that no
 * two members are shown different ones unnoticed, and nobody an older one again. Layouts and rules are
 * in spec/chat.md, 9.
 */

import { fromHex, toHex } from '../../shared/merkle';
import { ascii, type Bytes, big, equal, join, Reader, Short, zeros } from './bytes';
import { PRINTS } from './card';
import { ID_BYTES } from './content';
import { BundleRefused, ChatMisuse, ContentMalformed, GroupRefused, GroupUnusable } from './errors';
import {
  FINGERPRINT_BYTES,
  IDENTITY_BYTES,
  type Identity,
  IdentityPublic,
  SIGNATURE_BYTES,
} from './identity';
import { sha256 } from './suite';

/** What is said goes to each of them under a pad of its own. */
export const MAX_MEMBERS = 32;
const MAX_NAME_BYTES = 120;
const MAX_NUMBER = 2 ** 32 - 2;
const HASH_BYTES = 32;
const HALF = ID_BYTES / 2;
const MAGIC = join(ascii('bwgr'), Uint8Array.of(1));
const ROSTER = ascii('bellwire chat roster 1');
const GROUP_ID = ascii('bellwire chat group id 1');

export interface Member {
  /** Fingerprint, in hexadecimal. */
  readonly peer: string;
  /** Number of the first roster that they are in without a gap. */
  readonly since: number;
}

/** One roster; whether it counts, `checkFirst` and `checkFollows` say. */
export interface Roster {
  /** Id of the group, in hexadecimal. */
  readonly group: string;
  /** From 0 on. */
  readonly number: number;
  /** Hash of the one before; zeros for number 0. */
  readonly former: Bytes;
  /** Whose identity signs the next one. */
  readonly admin: IdentityPublic;
  readonly name: string;
  /** By fingerprint, in order; the admin is among them. */
  readonly members: readonly Member[];
  readonly signature: Bytes;
}

type Unsigned = Omit<Roster, 'signature'>;

/** @throws GroupUnusable if it cannot be written: a name that does not print, too many members. */
function checkSound({ admin, name, number, members }: Unsigned): void {
  const length = ascii(name).length;
  if (length < 1 || length > MAX_NAME_BYTES || !PRINTS.test(name))
    throw new GroupUnusable(
      `name of a group: expected 1 to ${MAX_NAME_BYTES} bytes that print, got others`,
    );
  if (members.length < 1 || members.length > MAX_MEMBERS)
    throw new GroupUnusable(
      `members of a group: expected 1 to ${MAX_MEMBERS}, got ${members.length}`,
    );
  const ordered = members.every(
    ({ peer, since }, at) => since <= number && (at === 0 || (members[at - 1]?.peer ?? '') < peer),
  );
  const hasAdmin = members.some(({ peer }) => peer === toHex(admin.fingerprint));
  if (!ordered || !hasAdmin || number > MAX_NUMBER)
    throw new GroupUnusable('expected each member once, in order, with the admin, got others');
}

/** All but the signature. */
function bodyOf({ group, number, former, admin, name, members }: Unsigned): Bytes {
  const called = ascii(name);
  return join(
    MAGIC,
    fromHex(group),
    big(number, 4),
    former,
    admin.bytes,
    big(called.length, 1),
    called,
    big(members.length, 1),
    ...members.flatMap(({ peer, since }) => [big(since, 4), fromHex(peer)]),
  );
}

/** The text of a content of kind 27. */
export function encodeRoster(roster: Roster): Bytes {
  return join(bodyOf(roster), roster.signature);
}

/**
 * Undo `encodeRoster`; what it says is not verified yet.
 *
 * @throws ContentMalformed if it is no roster.
 */
export async function readRoster(encoded: Bytes): Promise<Roster> {
  const reader = new Reader(encoded);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    const magic = reader.take(MAGIC.length);
    const group = toHex(reader.take(ID_BYTES));
    const number = reader.number(4);
    const former = reader.take(HASH_BYTES);
    const admin = await IdentityPublic.read(reader.take(IDENTITY_BYTES));
    const name = decoder.decode(reader.take(reader.number(1)));
    const members = Array.from({ length: reader.number(1) }, () => {
      const since = reader.number(4);
      return { since, peer: toHex(reader.take(FINGERPRINT_BYTES)) };
    });
    const signature = reader.take(SIGNATURE_BYTES);
    const roster = { group, number, former, admin, name, members, signature };
    checkSound(roster);
    if (equal(magic, MAGIC) && reader.left === 0) return roster;
  } catch (error) {
    const cut = [Short, TypeError, GroupUnusable].some((kind) => error instanceof kind);
    if (!cut) throw error;
  }
  throw new ContentMalformed('expected a roster of this version, got another content');
}

/** What the next roster and every message name this one by, 32 bytes. */
export function digestOf(roster: Unsigned): Promise<Bytes> {
  return sha256(ROSTER, bodyOf(roster));
}

/** Number and hash, as messages have them. */
export async function viewOf(roster: Roster): Promise<Bytes> {
  return join(big(roster.number, 4), await digestOf(roster));
}

/** The roster's number in what a message has of it. */
export function numberOf(view: Bytes): number {
  return new Reader(view).number(4);
}

/** Number of somebody's first roster; null if they are not in this one. */
export function sinceOf({ members }: Roster, peer: string): number | null {
  return members.find((each) => each.peer === peer)?.since ?? null;
}

// What the admin does

async function signed(admin: Identity, bare: Unsigned): Promise<Roster> {
  checkSound(bare);
  return { ...bare, signature: await admin.sign(bodyOf(bare), ROSTER) };
}

const inOrder = (members: Iterable<Member>): Member[] =>
  [...members].toSorted((one, other) => (one.peer < other.peer ? -1 : 1));

/**
 * The first roster of a new group.
 *
 * @throws GroupUnusable if nobody else is in it, there are too many, or the name cannot be used.
 */
export function foundGroup(
  admin: Identity,
  name: string,
  others: readonly string[],
  group = crypto.getRandomValues(new Uint8Array(ID_BYTES)),
): Promise<Roster> {
  const peers = new Set([toHex(admin.public.fingerprint), ...others]);
  if (peers.size < 2)
    throw new GroupUnusable('a new group: expected somebody else in it, got nobody');
  const members = inOrder([...peers].map((peer) => ({ peer, since: 0 })));
  const former = zeros(HASH_BYTES);
  const bare = { group: toHex(group), number: 0, former, admin: admin.public, name, members };
  return signed(admin, bare);
}

/** What an admin changes; the new admin is a member. */
export interface RosterChange {
  readonly name?: string;
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
  readonly handTo?: IdentityPublic;
}

/**
 * The roster that follows, signed.
 *
 * @throws GroupUnusable if we are not its admin, somebody is (not) in it already, the admin would be
 *   removed, or there would be too many.
 */
export async function nextRoster(
  admin: Identity,
  former: Roster,
  { name, add = [], remove = [], handTo }: RosterChange,
): Promise<Roster> {
  if (!former.admin.is(admin.public))
    throw new GroupUnusable("expected a group of which we are the admin, got another's");
  const number = former.number + 1;
  const members = new Map(former.members.map((each) => [each.peer, each]));
  for (const peer of remove)
    if (peer === toHex(admin.public.fingerprint) || !members.delete(peer))
      throw new GroupUnusable('expected a member other than the admin to remove, got none');
  for (const peer of add) {
    if (members.has(peer))
      throw new GroupUnusable('expected somebody to add who is not in the group, got a member');
    members.set(peer, { peer, since: number });
  }
  return signed(admin, {
    group: former.group,
    number,
    former: await digestOf(former),
    admin: handTo ?? former.admin,
    name: name ?? former.name,
    members: inOrder(members.values()),
  });
}

// What members check

/**
 * Return only if this may be the first roster of a group that we see.
 *
 * @param sender Who sent it: its admin, whom we know.
 * @throws GroupRefused if it is of another admin, without us, or its signature is not the admin's.
 */
export async function checkFirst(roster: Roster, sender: string, me: string): Promise<void> {
  if (toHex(roster.admin.fingerprint) !== sender)
    throw new GroupRefused('expected to be taken into a group by its admin, got it from another');
  if (sinceOf(roster, me) === null)
    throw new GroupRefused('expected a group with us in it, got one without');
  await checkSigned(roster, roster.admin);
}

/**
 * Return only if `roster` may take the place of `former`.
 *
 * @throws GroupRefused if it is not the next one, has another past, is not signed by the admin, or
 *   changes what nobody may change.
 */
export async function checkFollows(former: Roster, roster: Roster): Promise<void> {
  if (roster.group !== former.group || roster.number !== former.number + 1)
    throw new GroupRefused('expected the roster that comes next, got another');
  if (!equal(roster.former, await digestOf(former))) throw forked();
  await checkSigned(roster, former.admin);
  const before = new Map(former.members.map(({ peer, since }) => [peer, since]));
  if (!roster.admin.is(former.admin)) {
    const same =
      roster.name === former.name &&
      roster.members.length === former.members.length &&
      roster.members.every(({ peer, since }) => before.get(peer) === since);
    if (!same) throw new GroupRefused('expected a new admin and no other change, got more');
  } else if (
    roster.members.some(({ peer, since }) => since !== roster.number && since !== before.get(peer))
  )
    throw new GroupRefused('expected members since their own roster, got others');
}

/** Somebody was shown another roster of the same number. */
export function forked(): GroupRefused {
  return new GroupRefused(
    "the group's roster is not the same for all: its admin signed two of one number, or went back " +
      'to an earlier one; make a new group',
  );
}

async function checkSigned(roster: Roster, signer: IdentityPublic): Promise<void> {
  try {
    await signer.verify(roster.signature, bodyOf(roster), ROSTER);
  } catch (error) {
    if (!(error instanceof BundleRefused)) throw error;
    throw new GroupRefused("expected a roster signed by the group's admin, got another");
  }
}

// Ids of what is said in a group

/** An id for what an author says in a group: no other member can say anything under it. */
export async function drawId(
  group: string,
  author: string,
  drawn: Bytes = crypto.getRandomValues(new Uint8Array(HALF)),
): Promise<Bytes> {
  if (drawn.length !== HALF)
    throw new ChatMisuse(`expected ${HALF} random bytes, got ${drawn.length}`);
  const bound = await sha256(GROUP_ID, fromHex(group), fromHex(author), drawn);
  return join(drawn, bound.slice(0, HALF));
}

/** Return only if this author may say something under this id. @throws GroupRefused otherwise. */
export async function checkId(group: string, author: string, id: Bytes): Promise<void> {
  if (!equal(id, await drawId(group, author, id.slice(0, HALF))))
    throw new GroupRefused('expected an id of its author in this group, got another');
}
