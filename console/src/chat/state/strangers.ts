/**
 * Who has written first and was not accepted yet, and who is not heard at all.
 *
 * A stranger has a session and words, as a contact has, but nothing is ever sent to one: neither words
 * nor marks of delivery tell them that we are there. There are only so many, with so many words each,
 * so that nobody fills our disk; who is turned away may write again later. Who is declined is
 * forgotten, and who is blocked is forgotten and not heard again under that identity. A contact who is
 * blocked is not forgotten: what was said stays.
 *
 * The same rules as on the Python side: `bellwire.chat.store.strangers`.
 */

import type { Bytes } from '../protocol/bytes';
import { type Card, encodeCard, readCard } from '../protocol/card';
import { type Content, Kind, makeContent } from '../protocol/content';
import { ChatMisuse, StrangerRefused } from '../protocol/errors';
import {
  type Box,
  type Contact,
  cardOf,
  contacts,
  isLike,
  newBox,
  newContact,
  type OwnCard,
  shortOf,
  told,
} from './contacts';
import { stopAll } from './files';
import { padless, unoffered } from './offers';
import { givenUp, isStanding } from './standing';
import { added, again, BLOCKED, CONTACT, change, cutOff, keptOf, sayAll, unheard } from './talk';
import type { Change, Found, Vault } from './vault';

const STRANGER = 'stranger';
export const MAX_STRANGERS = 32;
/** Of one stranger. */
export const MAX_MESSAGES = 16;
/** Of one stranger, of messages that are not whole. */
const MAX_PARTS = 64;
const MAX_SESSIONS = 8;
const MAX_BLOCKED = 10_000;

/** What a stranger may say before they are accepted; no wish, no file, and nothing of a group. */
const HEARD: ReadonlySet<Kind> = new Set([
  Kind.text,
  Kind.reply,
  Kind.edit,
  Kind.delete,
  Kind.timer,
  Kind.typing,
  Kind.card,
  Kind.padOffer,
]);

export interface Stranger {
  /** As they call themselves, which nobody has verified. */
  readonly name: string;
  /** How they are reached; null while they have not said it. */
  readonly card: Card | null;
  readonly timerS: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** Who is not heard. */
export interface Blocked {
  /** As they called themselves; of a contact, as we called them. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** Who waits to be accepted, who came first first. */
export async function strangers(vault: Vault): Promise<Found<Stranger>[]> {
  const known = new Set((await contacts(vault)).map(({ key }) => key));
  const all = await vault.list<Stranger>(STRANGER);
  return all
    .filter(({ key }) => !known.has(key))
    .toSorted((one, other) => one.value.since - other.value.since);
}

/** Whether somebody waits to be accepted. */
export async function isStranger(vault: Vault, peer: string): Promise<boolean> {
  return (await vault.read(STRANGER, peer)) !== null && !(await vault.read(CONTACT, peer));
}

/**
 * What a content that came to a mailbox changes of contacts and strangers.
 *
 * @throws StrangerRefused if it is more than is kept of a stranger; as `contacts.told`.
 */
export async function toldBy(
  vault: Vault,
  mailbox: Bytes,
  peer: string,
  content: Content,
): Promise<Change[]> {
  const isForAll = await isStanding(vault, mailbox);
  const before = await vault.read<Stranger>(STRANGER, peer);
  if (isForAll && !(await vault.read(CONTACT, peer)))
    return strangely(vault, peer, before, content);
  const changes = await told(vault, mailbox, peer, content, isForAll, before?.value ?? null);
  // They have used a link that we gave to them.
  return before ? [...changes, change(STRANGER, before, null)] : changes;
}

async function strangely(
  vault: Vault,
  peer: string,
  before: Found<Stranger> | null,
  content: Content,
): Promise<Change[]> {
  if (!HEARD.has(content.kind) || content.group)
    throw new StrangerRefused('expected words before they are accepted, got something else');
  if (!before && (await strangers(vault)).length >= MAX_STRANGERS)
    throw new StrangerRefused(`expected at most ${MAX_STRANGERS} who wait, got one more`);
  const kept = await keptOf(vault, peer);
  const isFull = kept.messages >= MAX_MESSAGES || kept.parts >= MAX_PARTS;
  if (isFull || kept.sessions > MAX_SESSIONS)
    throw new StrangerRefused(`expected at most ${MAX_MESSAGES} messages of them, got one more`);
  const first: Stranger = { name: shortOf(peer), card: null, timerS: 0, since: Date.now() };
  let value = before?.value ?? first;
  if (content.kind === Kind.card) {
    const card = readCard(content.text);
    value = { ...value, card, name: card.name };
  }
  if (content.kind === Kind.timer) value = { ...value, timerS: content.timerS ?? 0 };
  if (!before) return [added(STRANGER, peer, value)];
  return value === before.value ? [] : [change(STRANGER, before, value)];
}

async function waiting(vault: Vault, peer: string): Promise<Found<Stranger>> {
  const found = await vault.read<Stranger>(STRANGER, peer);
  if (!found) throw new ChatMisuse('expected somebody who waits to be accepted, got another');
  return found;
}

/**
 * Have a stranger as a contact, and tell them how they reach us.
 *
 * @returns The mailbox of ours that is theirs.
 * @throws ChatMisuse if nobody of that fingerprint waits.
 */
export async function accept(vault: Vault, peer: string, own: OwnCard): Promise<Box> {
  const box = newBox();
  const id = crypto.getRandomValues(new Uint8Array(16));
  const text = encodeCard(cardOf(own, box));
  const content = makeContent({ kind: Kind.card, id, sentMs: Date.now(), text });
  await sayAll(vault, peer, [content], async () => {
    const found = await waiting(vault, peer);
    const { name, card, timerS } = found.value;
    const all = await contacts(vault);
    const called = isLike(name, all) ? `${name} (${peer.slice(0, 8)})` : name;
    const value = { ...newContact(called), card, timerS, boxes: [box] };
    return [change(STRANGER, found, null), added(CONTACT, peer, value)];
  });
  return box;
}

/** Forget somebody who waits, and what they said; they are not told. */
export function decline(vault: Vault, peer: string): Promise<void> {
  return again(async () => {
    const found = await waiting(vault, peer);
    await vault.commit(await forgotten(vault, found));
  });
}

async function forgotten(vault: Vault, found: Found<Stranger>): Promise<Change[]> {
  const { key: peer } = found;
  const rest = [...(await unheard(vault, peer)), ...(await unoffered(vault, peer))];
  return [change(STRANGER, found, null), ...rest];
}

/**
 * Hear this identity no more; they are not told.
 *
 * Of somebody who waits nothing is kept. Of a contact, what was said stays, and there is no way between
 * us any more: they can only begin anew, once they are heard again.
 *
 * @throws ChatMisuse if they are neither, or too many are blocked.
 */
export function block(vault: Vault, peer: string): Promise<void> {
  return again(async () => {
    const known = await vault.read<Contact>(CONTACT, peer);
    const waits = known ? null : await waiting(vault, peer);
    const all = await blocked(vault);
    const isNew = !all.some(({ key }) => key === peer);
    if (isNew && all.length >= MAX_BLOCKED)
      throw new ChatMisuse(`expected at most ${MAX_BLOCKED} who are blocked, got one more`);
    const name = (known ?? waits)?.value.name ?? shortOf(peer);
    const value: Blocked = { name, since: Date.now() };
    await vault.commit([
      ...(isNew ? [added(BLOCKED, peer, value)] : []),
      ...(waits ? await forgotten(vault, waits) : []),
      ...(known ? await parted(vault, known) : []),
    ]);
  });
}

async function parted(vault: Vault, known: Found<Contact>): Promise<Change[]> {
  const { key: peer, value } = known;
  return [
    change(CONTACT, known, { ...value, card: null, boxes: [] }),
    ...value.boxes.map(givenUp),
    ...(await cutOff(vault, peer)),
    ...(await padless(vault, peer)),
    ...(await stopAll(vault, peer)),
  ];
}

/** Hear somebody again, who must begin anew. */
export function unblock(vault: Vault, peer: string): Promise<void> {
  return again(async () => {
    const found = await vault.read<Blocked>(BLOCKED, peer);
    if (found) await vault.commit([change(BLOCKED, found, null)]);
  });
}

/** Who is not heard; the key of each is their fingerprint. */
export function blocked(vault: Vault): Promise<Found<Blocked>[]> {
  return vault.list<Blocked>(BLOCKED);
}

export async function isBlocked(vault: Vault, peer: string): Promise<boolean> {
  return (await vault.read(BLOCKED, peer)) !== null;
}

/** Somebody is a contact by another way: they wait no more. */
export function met(vault: Vault, peer: string): Promise<void> {
  return again(async () => {
    const found = await vault.read<Stranger>(STRANGER, peer);
    if (found) await vault.commit([change(STRANGER, found, null)]);
  });
}
