/**
 * Whom we know, how each of them is reached, and mailboxes of ours for each alone.
 *
 * A contact link has a mailbox that is nobody's yet: whoever begins a session by it gets it, and the
 * contact, the session and the link's end are one commit. Layouts are in spec/chat.md, 7.
 */

import { toHex } from '../../shared/merkle';
import type { Bytes } from '../protocol/bytes';
import {
  type Card,
  type ContactLink,
  encodeCard,
  makeLink,
  RIGHT_BYTES,
  readCard,
} from '../protocol/card';
import { type Content, Kind, makeContent } from '../protocol/content';
import { ChatMisuse, LinkRefused, NotAuthentic, OpeningRefused } from '../protocol/errors';
import { MAILBOX_BYTES } from '../protocol/frames';
import { isName } from '../protocol/historyRecords';
import type { Identity } from '../protocol/identity';
import type { Policy } from '../protocol/pads';
import { freshBundle, LINK_S } from './person';
import { isUsed, meet } from './renewing';
import { added, again, CONTACT, change, hasSession } from './talk';
import type { Change, Found, Vault } from './vault';

const FIRST_POLICY: Policy = 'prefer';
const INVITATION = 'invitation';
/** Letters of a fingerprint that stand for whoever has not said a name. */
const SHORT = 16;
export const shortOf = (peer: string) => peer.slice(0, SHORT);

/** A mailbox at our relay, and the right to drop into it, which one contact has. Secret. */
export interface Box {
  readonly mailbox: Bytes;
  readonly right: Bytes;
}

export interface Contact {
  /** As we call them: at first, as they call themselves. */
  readonly name: string;
  /** How they are reached; null while they have not said it. */
  readonly card: Card | null;
  /** Ours for them, the newest first. */
  readonly boxes: readonly Box[];
  readonly policy: Policy;
  /** Where pads come from that we send under: a session for each message, or the site's stock. */
  readonly mode: 'fresh' | 'pool';
  /** Whether the safety numbers were compared. */
  readonly isVerified: boolean;
  /** Seconds after which what is said disappears, once read; 0: it stays. */
  readonly timerS: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

interface Invitation extends Box {
  /** Seconds since the epoch. */
  readonly until: number;
  /** Fingerprint of whom alone it is for, in hexadecimal; else of whoever has the link. */
  readonly meant?: string;
}

/** How we are reached, but for the right, which is another for each. */
export type OwnCard = Pick<Card, 'relay' | 'name' | 'sae'>;

const drawn = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));
export const newBox = (): Box => ({ mailbox: drawn(MAILBOX_BYTES), right: drawn(RIGHT_BYTES) });
export const cardOf = (own: OwnCard, { right }: Box): Card => ({ ...own, right });

export function contacts(vault: Vault): Promise<Found<Contact>[]> {
  return vault.list<Contact>(CONTACT);
}

/** What we do without pad, for what we say to somebody and what we take of them. */
export async function policyOf(vault: Vault, peer: string): Promise<Policy> {
  return (await vault.read<Contact>(CONTACT, peer))?.value.policy ?? FIRST_POLICY;
}

/** Change what is kept of somebody. */
export function changeContact(vault: Vault, peer: string, to: Partial<Contact>): Promise<void> {
  return again(async () => {
    const found = await vault.read<Contact>(CONTACT, peer);
    if (!found) throw new ChatMisuse('expected a contact, got a stranger');
    await vault.commit([change(CONTACT, found, { ...found.value, ...to })]);
  });
}

/**
 * Call somebody otherwise; they do not learn of it.
 *
 * @throws ChatMisuse if the name does not print, is too long, or is that of another contact.
 */
export function rename(vault: Vault, peer: string, typed: string): Promise<void> {
  const name = typed.trim();
  if (!isName(name)) throw new ChatMisuse('a name has 1 to 240 bytes, of characters that print');
  return again(async () => {
    const all = await contacts(vault);
    const found = all.find(({ key }) => key === peer);
    if (!found) throw new ChatMisuse('expected a contact, got a stranger');
    const others = all.filter((each) => each !== found);
    if (isLike(name, others))
      throw new ChatMisuse('another contact is called so: choose a name that tells them apart');
    await vault.commit([change(CONTACT, found, { ...found.value, name })]);
  });
}

/** Whether somebody of these is called the same. */
export function isLike(name: string, all: readonly { value: { name: string } }[]): boolean {
  const folded = name.toLowerCase();
  return all.some(({ value }) => value.name.toLowerCase() === folded);
}

/** A mailbox of ours for a contact who has none. @throws ChatMisuse if they are no contact. */
export async function giveBox(vault: Vault, peer: string): Promise<Box> {
  const box = newBox();
  await changeContact(vault, peer, { boxes: [box] });
  return box;
}

/** Every mailbox of ours that somebody may drop into now. */
export async function boxes(vault: Vault, now: number): Promise<Box[]> {
  const known = (await contacts(vault)).flatMap(({ value }) => value.boxes);
  const asked = await vault.list<Invitation>(INVITATION);
  return [...known, ...asked.map(({ value }) => value).filter(({ until }) => until > now)];
}

/**
 * A contact link for one person, and the mailbox that it needs.
 *
 * @param meant Fingerprint of whom alone it is for, in hexadecimal.
 */
export async function invite(
  vault: Vault,
  identity: Identity,
  own: OwnCard,
  now: number,
  meant?: string,
): Promise<{ link: string; box: Box }> {
  const box = newBox();
  const until = Math.floor(now) + LINK_S;
  const value: Invitation = { ...box, until, ...(meant ? { meant } : {}) };
  await vault.commit([added(INVITATION, toHex(box.mailbox), value)]);
  const bundle = await freshBundle(vault, identity, now, LINK_S);
  return { link: makeLink(bundle, cardOf(own, box)), box };
}

/** What is kept of links that nobody used in time goes; their mailboxes. */
export async function expired(vault: Vault, now: number): Promise<Bytes[]> {
  const all = await vault.list<Invitation>(INVITATION);
  const over = all.filter(({ value }) => value.until <= now);
  if (over.length > 0) await vault.commit(over.map((each) => change(INVITATION, each, null)));
  return over.map(({ value }) => value.mailbox);
}

/**
 * Know the maker of a contact link, and tell them how we are reached; all of it, or nothing.
 *
 * @returns Their fingerprint, and a mailbox of ours that is theirs from now on; null if we have used
 *   the link before, and nothing is to be done.
 * @throws ChatMisuse if it is our own; LinkRefused if we have used it for a session that is gone.
 */
export async function add(
  vault: Vault,
  identity: Identity,
  { bundle, card }: ContactLink,
  own: OwnCard,
  now: number,
): Promise<{ peer: string; box: Box | null }> {
  if (bundle.identity.is(identity.public))
    throw new ChatMisuse('this link is your own: give it to somebody else');
  const peer = toHex(bundle.identity.fingerprint);
  if (await isUsed(vault, bundle)) {
    if (await hasSession(vault, peer)) return { peer, box: null };
    throw new LinkRefused('you have used this link before, and it serves once: ask for another');
  }
  const box = newBox();
  const text = encodeCard(cardOf(own, box));
  const content = makeContent({ kind: Kind.card, id: drawn(16), sentMs: Date.now(), text });
  await meet(vault, identity, bundle, [content], now, async () => {
    const found = await vault.read<Contact>(CONTACT, peer);
    const value = { ...(found?.value ?? newContact(card.name)), card };
    const kept = { ...value, boxes: [box, ...value.boxes] };
    return [found ? change(CONTACT, found, kept) : added(CONTACT, peer, kept)];
  });
  return { peer, box };
}

export function newContact(name: string): Contact {
  const rest = { isVerified: false, timerS: 0, since: Date.now() };
  return { name, card: null, boxes: [], policy: FIRST_POLICY, mode: 'fresh', ...rest };
}

/**
 * What a content that came to a mailbox changes of contacts.
 *
 * @param isForAll Whether it is a mailbox for whoever writes first.
 * @param before What they have said of themselves as a stranger.
 * @throws NotAuthentic if the mailbox is another's, or nobody's.
 */
export async function told(
  vault: Vault,
  mailbox: Bytes,
  peer: string,
  content: Content,
  isForAll = false,
  before: Pick<Contact, 'name' | 'card' | 'timerS'> | null = null,
): Promise<Change[]> {
  const all = await contacts(vault);
  const owns = ({ value }: Found<Contact>) =>
    value.boxes.some((box) => toHex(box.mailbox) === toHex(mailbox));
  const known = all.find(({ key }) => key === peer);
  const changes: Change[] = [];
  let value = known?.value ?? { ...newContact(shortOf(peer)), ...before };
  if (!isForAll && !(known && owns(known))) {
    const found = await vault.read<Invitation>(INVITATION, toHex(mailbox));
    if (!found)
      throw new NotAuthentic('expected a message by its sender’s own mailbox, got another');
    const { right, meant } = found.value;
    if (meant && meant !== peer)
      throw new OpeningRefused('expected who the link was made for, got somebody else');
    value = { ...value, boxes: [{ mailbox, right }, ...value.boxes] };
    changes.push(change(INVITATION, found, null));
  }
  if (content.kind === Kind.card) {
    const card = readCard(content.text);
    const unnamed = value.name === shortOf(peer);
    value = { ...value, card, name: unnamed ? card.name : value.name };
  }
  if (content.kind === Kind.timer && !content.group)
    value = { ...value, timerS: content.timerS ?? 0 };
  if (!known) return [...changes, added(CONTACT, peer, value)];
  return value === known.value ? changes : [...changes, change(CONTACT, known, value)];
}
