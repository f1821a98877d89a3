/**
 * Groups in the vault: their rosters, who has left, and how what is said in them counts.
 *
 * A copy for each member is an ordinary message of ours to them, with state and pads of its own; what
 * we said ourselves stands once more under our own name. What came before its roster waits, bounded.
 * Rules are in spec/chat.md, 9.
 */

import { fromHex, toHex } from '../../shared/merkle';
import { type Bytes, equal, join, Reader } from '../protocol/bytes';
import { type Content, ID_BYTES, isPadded, Kind, makeContent } from '../protocol/content';
import { ContentMalformed, GroupRefused, GroupUnusable } from '../protocol/errors';
import { readFileKey } from '../protocol/file';
import { FINGERPRINT_BYTES } from '../protocol/identity';
import {
  checkFirst,
  checkFollows,
  checkId,
  digestOf,
  encodeRoster,
  forked,
  numberOf,
  type Roster,
  readRoster,
  sinceOf,
  viewOf,
} from '../protocol/roster';
import type { Protection } from '../protocol/session';
import { begun, stopCopies } from './files';
import {
  added,
  again,
  change,
  type MessageRecord,
  messages,
  messagesOf,
  OUTBOX,
  retold,
  saidBy,
  type Waiting,
} from './talk';
import type { Change, Found, Vault } from './vault';

const GROUP = 'group';
const ROSTER = 'roster';
const HELD = 'held';
const ASKED = 'rosters asked';
const LINK = 'introduction';
const MAX_GROUPS = 256;
/** Contents of one contact that wait for a roster, and for how long, in seconds. */
const MAX_HELD = 32;
const HELD_S = 14 * 86_400;
const ASK_EVERY_S = 60;
/** In the place of a number, by whom no roster of a group has reached. */
export const NONE_KNOWN = 2 ** 32 - 1;

interface GroupRecord {
  /** Of the newest roster. */
  readonly number: number;
  readonly timerS: number;
  /** Members who have said that they left, and by which roster's number. */
  readonly left: Readonly<Record<string, number>>;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** A group as we know it. */
export interface Group extends GroupRecord {
  /** The newest. */
  readonly roster: Roster;
}

interface Held {
  readonly peer: string;
  readonly content: Content;
  readonly protections: readonly Protection[];
  /** Seconds since the epoch. */
  readonly came: number;
}

/** A member's contact link that came: for us, or to be passed on. */
export interface Introduction {
  readonly group: string;
  readonly maker: string;
  readonly reader: string;
  /** As it came. */
  readonly text: Bytes;
}

/** Whether somebody is in it now. */
export function isIn({ roster, left }: Group, peer: string): boolean {
  const since = sinceOf(roster, peer);
  return since !== null && since > (left[peer] ?? -1);
}

/** Who is in it now. */
export function activeIn(group: Group): string[] {
  return group.roster.members.map(({ peer }) => peer).filter((peer) => isIn(group, peer));
}

const place = (group: string, number: number) => `${group} ${String(number).padStart(10, '0')}`;

/** A roster by its number; null if we have it not. */
export async function rosterOf(
  vault: Vault,
  group: string,
  number: number,
): Promise<Roster | null> {
  const found = await vault.read<Bytes>(ROSTER, place(group, number));
  return found && readRoster(found.value);
}

async function whole(vault: Vault, { key, value }: Found<GroupRecord>): Promise<Group> {
  const roster = await rosterOf(vault, key, value.number);
  if (!roster) throw new Error('expected the roster that was written with its group, got none');
  return { ...value, roster };
}

/** A group by its id; null if nobody has taken us into it. */
export async function groupOf(vault: Vault, group: string): Promise<Group | null> {
  const found = await vault.read<GroupRecord>(GROUP, group);
  return found && whole(vault, found);
}

/** Those that we know, also where we are in it no more. */
export async function groups(vault: Vault): Promise<Group[]> {
  const all = await vault.list<GroupRecord>(GROUP);
  return Promise.all(all.map((each) => whole(vault, each)));
}

/** A group that we are in. @throws GroupUnusable if it is none. */
export async function memberOf(vault: Vault, me: string, group: string): Promise<Group> {
  const found = await groupOf(vault, group);
  if (!found || !isIn(found, me))
    throw new GroupUnusable('expected a group that we are in, got one that we are not');
  return found;
}

/** Something that is said about a group. */
export function about(kind: Kind, group: string, text: Bytes = new Uint8Array()): Content {
  const id = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  return makeContent({ kind, id, sentMs: Date.now(), text, group: fromHex(group) });
}

// What changes

/** A roster counts from now on: nothing more goes to those who are in the group no more. */
export async function accepted(vault: Vault, me: string, roster: Roster): Promise<Change[]> {
  const { group, number } = roster;
  const found = await vault.read<GroupRecord>(GROUP, group);
  const kept = added(ROSTER, place(group, number), encodeRoster(roster));
  if (!found) {
    if ((await vault.list(GROUP)).length >= MAX_GROUPS)
      throw new GroupRefused(`expected at most ${MAX_GROUPS} groups, got one more`);
    const value: GroupRecord = { number, timerS: 0, left: {}, since: Date.now() };
    return [kept, added(GROUP, group, value)];
  }
  const former = await whole(vault, found);
  const now: Group = { ...found.value, number, roster };
  const gone = activeIn(former).filter((peer) => peer !== me && !isIn(now, peer));
  const withheld = await Promise.all(gone.map((peer) => withhold(vault, group, peer)));
  return [kept, change(GROUP, found, { ...found.value, number }), ...withheld.flat()];
}

/** Somebody, maybe we, is in it no more, as of a roster's number. */
export async function left(
  vault: Vault,
  group: string,
  peer: string,
  number: number,
): Promise<Change[]> {
  const found = await vault.read<GroupRecord>(GROUP, group);
  if (!found) return [];
  const all = { ...found.value.left, [peer]: Math.max(number, found.value.left[peer] ?? 0) };
  return [
    change(GROUP, found, { ...found.value, left: all }),
    ...(await withhold(vault, group, peer)),
  ];
}

/** Nothing of what was said in a group, and is not with the relay, goes to somebody any more. */
export async function withhold(vault: Vault, group: string, peer: string): Promise<Change[]> {
  const kind = messagesOf(peer);
  const copies = (await vault.list<MessageRecord>(kind)).filter(
    ({ value: { ours, content, state } }) =>
      ours && isOf(content, group) && (state === 'unsent' || state === 'waiting'),
  );
  const ids = new Set(copies.map(({ key }) => key));
  const sealed = (await vault.list<Waiting>(OUTBOX)).filter(
    ({ value }) => value.peer === peer && value.message !== null && ids.has(value.message),
  );
  return [
    ...copies.map((each) => change(kind, each, null)),
    ...sealed.map((each) => change(OUTBOX, each, null)),
    ...(await stopCopies(vault, group, peer)),
  ];
}

/** Whether it was said in this group. */
export const isOf = ({ group }: Content, of: string): boolean =>
  group !== undefined && toHex(group) === of;

export function setTimer(vault: Vault, group: string, timerS: number): Promise<void> {
  return again(async () => {
    const found = await vault.read<GroupRecord>(GROUP, group);
    if (found) await vault.commit([change(GROUP, found, { ...found.value, timerS })]);
  });
}

/**
 * Keep what we say in a group, and a copy for each other member, which goes when it can.
 *
 * @param also What changes in the same commit.
 * @returns The others.
 * @throws GroupUnusable if we are not in it, or nobody else is.
 */
export function saidIn(
  vault: Vault,
  me: string,
  group: string,
  make: (roster: { group: Bytes; view: Bytes; timerS: number }) => Promise<Content>,
  also: (others: readonly string[]) => Promise<Change[]> = async () => [],
): Promise<string[]> {
  return again(async () => {
    const kept = await memberOf(vault, me, group);
    const others = activeIn(kept).filter((peer) => peer !== me);
    if (others.length === 0)
      throw new GroupUnusable('expected somebody else in the group, got nobody');
    const view = await viewOf(kept.roster);
    const content = await make({ group: fromHex(group), view, timerS: kept.timerS });
    const key = toHex(content.id);
    const own = content.kind === Kind.edit ? { ...content, text: new Uint8Array() } : content;
    const bare = { ours: true, protections: [] } as const;
    const ours: MessageRecord = { ...bare, content: own, state: 'sent' };
    const changes = [added(messagesOf(me), key, ours), ...(await retold(vault, me, content, true))];
    for (const peer of others) {
      const unsent: MessageRecord = { ...bare, content, state: 'unsent' };
      const dropped = content.kind === Kind.delete ? await unsaid(vault, peer, content) : null;
      changes.push(...(dropped ?? [added(messagesOf(peer), key, unsent)]));
    }
    changes.push(...(await also(others)));
    await vault.commit(changes);
    return others;
  });
}

/** A copy that was not sealed is taken back without a word; null if they must be told. */
async function unsaid(vault: Vault, peer: string, { target }: Content): Promise<Change[] | null> {
  const found = target && (await vault.read<MessageRecord>(messagesOf(peer), toHex(target)));
  if (!found) return []; // they were not in the group then
  return found.value.state === 'unsent' ? [change(messagesOf(peer), found, null)] : null;
}

// What others say

/**
 * What is said in or about a group changes.
 *
 * @param now Seconds since the epoch.
 * @throws GroupRefused if it is not theirs to say; ContentMalformed if it says nothing.
 */
export async function told(
  vault: Vault,
  me: string,
  peer: string,
  content: Content,
  protections: readonly Protection[],
  now: number,
): Promise<Change[]> {
  if (isPadded(content.kind)) {
    if (content.kind === Kind.fileKey) readFileKey(content.text); // also of what is to wait
    if (await isEarly(vault, me, peer, content))
      return hold(vault, peer, content, protections, now);
    return counted(vault, peer, content, protections);
  }
  switch (content.kind) {
    case Kind.roster:
      return takeRoster(vault, me, peer, content);
    case Kind.left:
      return takeLeft(vault, peer, content);
    case Kind.introduction:
      return takeIntroduction(vault, me, peer, content);
    default:
      return [];
  }
}

const groupIn = ({ group }: Content): string => (group ? toHex(group) : '');

/**
 * Whether something that was said in a group must wait for its roster.
 *
 * @throws GroupRefused if its author is not in the group, or we are not, or its roster is another
 *   than ours of that number.
 */
async function isEarly(
  vault: Vault,
  me: string,
  author: string,
  content: Content,
): Promise<boolean> {
  const { view, id } = content;
  const group = groupIn(content);
  if (!view) throw new ContentMalformed('expected a roster with what is said in a group, got none');
  await checkId(group, author, id);
  const kept = await groupOf(vault, group);
  const number = numberOf(view);
  if (!kept || number > kept.number) return true;
  const known = await rosterOf(vault, group, number);
  if (known && !equal(await viewOf(known), view)) throw new GroupRefused(forked().message, id);
  if (!isIn(kept, me))
    throw new GroupRefused('expected a group that we are in, got one that we are not', id);
  if (!isIn(kept, author))
    throw new GroupRefused('expected words of a member of the group, got those of another', id);
  return false;
}

async function counted(
  vault: Vault,
  peer: string,
  content: Content,
  protections: readonly Protection[],
): Promise<Change[]> {
  const changes = await saidBy(vault, peer, content, protections);
  if (content.kind === Kind.fileKey)
    changes.push(...(await begun(vault, peer, content.id, content.text)));
  if (content.kind !== Kind.timer) return changes;
  const found = await vault.read<GroupRecord>(GROUP, groupIn(content));
  if (found) changes.push(change(GROUP, found, { ...found.value, timerS: content.timerS ?? 0 }));
  return changes;
}

async function hold(
  vault: Vault,
  peer: string,
  content: Content,
  protections: readonly Protection[],
  now: number,
): Promise<Change[]> {
  const all = await vault.list<Held>(HELD);
  const key = `${peer} ${toHex(content.id)}`;
  if (all.some((each) => each.key === key)) return [];
  const over = all.filter(({ value }) => value.came < now - HELD_S);
  if (all.filter(({ value }) => value.peer === peer).length - over.length >= MAX_HELD)
    throw new GroupRefused(
      `expected at most ${MAX_HELD} messages before their group's roster, got one more`,
      content.id,
    );
  const value: Held = { peer, content, protections, came: now };
  return [...over.map((each) => change(HELD, each, null)), added(HELD, key, value)];
}

/**
 * Let count what waited for a roster.
 *
 * @returns What was let out, by whom, and the id of what is refused, of each.
 */
export async function release(
  vault: Vault,
  me: string,
  group: string,
): Promise<{ peer: string; content: Content; refused: Bytes | null }[]> {
  const waiting = (await vault.list<Held>(HELD)).filter(({ value }) => isOf(value.content, group));
  const found: { peer: string; content: Content; refused: Bytes | null }[] = [];
  for (const each of waiting.toSorted((one, other) => one.value.came - other.value.came)) {
    const { peer, content, protections } = each.value;
    let refused: Bytes | null = null;
    await again(async () => {
      const changes = [change(HELD, each, null)];
      try {
        if (await isEarly(vault, me, peer, content)) return;
        changes.push(...(await counted(vault, peer, content, protections)));
      } catch (error) {
        if (!(error instanceof GroupRefused)) throw error;
        refused = content.id;
      }
      await vault.commit(changes);
      found.push({ peer, content, refused });
    });
  }
  return found;
}

async function takeRoster(
  vault: Vault,
  me: string,
  peer: string,
  content: Content,
): Promise<Change[]> {
  const roster = await readRoster(content.text);
  if (roster.group !== groupIn(content))
    throw new ContentMalformed("expected the roster of the group that is named, got another's");
  const kept = await groupOf(vault, roster.group);
  if (!kept) await checkFirst(roster, peer, me);
  else if (roster.number <= kept.number) {
    const same = await rosterOf(vault, roster.group, roster.number);
    if (same && !equal(await digestOf(same), await digestOf(roster))) throw forked();
    return [];
  } else if (roster.number > kept.number + 1)
    return []; // who sent it is asked for those between
  else await checkFollows(kept.roster, roster);
  return accepted(vault, me, roster);
}

async function takeLeft(vault: Vault, peer: string, content: Content): Promise<Change[]> {
  const kept = await groupOf(vault, groupIn(content));
  if (!kept || !isIn(kept, peer)) return [];
  if (toHex(kept.roster.admin.fingerprint) === peer)
    throw new GroupRefused('expected the admin to hand the group over before they leave');
  const number = new Reader(content.text).number(4);
  return left(vault, kept.roster.group, peer, Math.min(number, kept.number));
}

async function takeIntroduction(
  vault: Vault,
  me: string,
  peer: string,
  content: Content,
): Promise<Change[]> {
  const { text } = content;
  const group = groupIn(content);
  const [maker, reader] = [0, FINGERPRINT_BYTES].map((at) =>
    toHex(text.slice(at, at + FINGERPRINT_BYTES)),
  ) as [string, string];
  const link = text.slice(2 * FINGERPRINT_BYTES);
  if (link.length === 0 || link.some((byte) => byte > 0x7f) || maker === reader)
    throw new ContentMalformed('expected an introduction of this version, got another content');
  const kept = await groupOf(vault, group);
  if (!kept || ![me, peer, maker, reader].every((each) => isIn(kept, each)))
    throw new GroupRefused('expected an introduction of members to each other, got another');
  if (reader !== me && maker !== peer)
    throw new GroupRefused("expected a member's own link to pass on, got another's");
  if (maker === me) throw new GroupRefused('expected the link of another member, got our own');
  const key = `${maker} ${reader}`;
  const before = await vault.read<Introduction>(LINK, key);
  const value: Introduction = { group, maker, reader, text };
  return [before ? change(LINK, before, value) : added(LINK, key, value)];
}

/** Contact links of members that came, and were not used or passed on. */
export function introductions(vault: Vault): Promise<Found<Introduction>[]> {
  return vault.list<Introduction>(LINK);
}

/** What is done with an introduction. */
export const introduced = (found: Found<Introduction>): Change => change(LINK, found, null);

/** Its link. */
export function linkIn({ text }: Introduction): string {
  return new TextDecoder().decode(text.slice(2 * FINGERPRINT_BYTES));
}

/** The text of an introduction. */
export function introduction(maker: string, reader: string, link: string): Bytes {
  return join(fromHex(maker), fromHex(reader), new TextEncoder().encode(link));
}

/** That something is done now; null if it was done not so long ago. */
export async function timeFor(
  vault: Vault,
  what: string,
  now: number,
  everyS = ASK_EVERY_S,
): Promise<Change | null> {
  const found = await vault.read<number>(ASKED, what);
  if (found && found.value > now - everyS) return null;
  return found ? change(ASKED, found, now) : added(ASKED, what, now);
}

/** What of a conversation was said in groups. */
export async function ofGroups(vault: Vault, peer: string): Promise<MessageRecord[]> {
  return (await messages(vault, peer)).filter(({ content }) => content.group !== undefined);
}
