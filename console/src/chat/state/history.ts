/**
 * What was said, to another device of ours and from one, in a sealed file (spec/history.md).
 *
 * What is taken is taken in one commit, or nothing. This browser has an identity of its own: whom the
 * other device knows is known here by name, without a session, a way or a mark that safety numbers
 * were compared, until we begin anew with them.
 */

import { toHex } from '../../shared/merkle';
import { ascii, type Bytes } from '../protocol/bytes';
import { type Content, Kind, LAST_MS } from '../protocol/content';
import { ContentMalformed, HistoryRefused } from '../protocol/errors';
import { readFileKey, readSmallFile, safeName } from '../protocol/file';
import { drawCode } from '../protocol/historyCode';
import { readSealed, SealedWriter } from '../protocol/historyFile';
import {
  encodeRecord,
  type HistoryRecord,
  MAX_MESSAGES,
  MAX_PEOPLE,
  malformed,
  nameFor,
  readRecord,
  type Said,
  type Somebody,
  saidKind,
} from '../protocol/historyRecords';
import { type Identity, IdentityPublic } from '../protocol/identity';
import type { Protection } from '../protocol/session';
import { type Contact, contacts } from './contacts';
import { notesOf } from './notes';
import { recordKept, recordsOf } from './offers';
import { type Blocked, blocked, strangers } from './strangers';
import {
  added,
  again,
  BLOCKED,
  CONTACT,
  goneMsOf,
  identityOf,
  isOver,
  type MessageRecord,
  messages,
  messagesOf,
  order,
  type SessionRecord,
  WHOSE,
} from './talk';
import type { Change, Vault } from './vault';

/** A browser has all of a file in its memory, to take all of it or nothing. */
const MAX_TAKEN_BYTES = 64 * 2 ** 20;
/** By how far a message has come, as files have it; what has not left is in none. */
const STATES: Partial<Record<MessageRecord['state'], number>> = {
  heard: 0,
  answered: 0,
  sent: 1,
  delivered: 2,
  read: 3,
  seen: 3,
  refused: 4,
};
const NOT_SENT: ReadonlySet<MessageRecord['state']> = new Set(['unsent', 'waiting', 'withheld']);
const OURS = ['sent', 'sent', 'delivered', 'read', 'refused'] as const;
const READ = 3;

/** A file of history, and what it has. */
export interface Given {
  readonly file: Blob;
  /** That opens it, and is nowhere else. Secret. */
  readonly code: Bytes;
  readonly people: number;
  readonly messages: number;
  /** Of these, of which only name and size are there. */
  readonly attachments: number;
  /** Messages of ours that stay here, because they were not sent yet. */
  readonly notSent: number;
  /** Contacts who stay here: an earlier version did not keep their keys. */
  readonly unknown: number;
}

/** What came of a file. */
export interface Taken {
  readonly people: number;
  readonly messages: number;
  /** Messages that were here already. */
  readonly known: number;
  /** New messages that are attachments; the files are not here. */
  readonly attachments: number;
  /** Messages whose time had run out. */
  readonly expired: number;
  /** With this device itself, with who waits here to be accepted, or in groups. */
  readonly leftOut: number;
}

// To another device

/**
 * Write what was said, and whom we know.
 *
 * @param nowMs Milliseconds since the epoch.
 */
export async function give(vault: Vault, identity: Identity, nowMs: number): Promise<Given> {
  const me = identity.public.fingerprint;
  const code = drawCode();
  const writer = await SealedWriter.begin(code);
  const write = (record: HistoryRecord) => writer.add(encodeRecord(record));
  await write({ is: 'about', owner: me, madeMs: nowMs });
  const said: (readonly [MessageRecord, Bytes, ReadonlyMap<string, SessionRecord>])[] = [];
  for (const each of await notesOf(vault, toHex(me))) said.push([each, me, new Map()]);
  let [people, unknown] = [0, 0];
  const unheard = new Set((await blocked(vault)).map(({ key }) => key));
  for (const { key, value } of await contacts(vault)) {
    const known = await identityOf(vault, key);
    if (known === null) unknown += 1;
    else {
      people += 1;
      await write(somebodyOf(known, value, unheard.has(key)));
      const records = await recordsOf(vault, key);
      const all = await messages(vault, key);
      for (const each of all)
        if (!each.content.group) said.push([each, known.fingerprint, records]);
    }
  }
  const counts = { messages: 0, attachments: 0, notSent: 0 };
  for (const [message, contact, records] of said.toSorted(([one], [other]) => order(one, other))) {
    const record = isOver(message, nowMs) ? null : saidOf(message, contact, records);
    if (record) {
      counts.messages += 1;
      counts.attachments += record.size === null ? 0 : 1;
      await write(record);
    } else if (isUnsent(message)) counts.notSent += 1;
  }
  await write({ is: 'end', people, messages: counts.messages });
  return { file: await writer.finish(), code, people, unknown, ...counts };
}

function isUnsent({ content, ours, state, deleted }: MessageRecord): boolean {
  const isOne = saidKind(content.kind) !== undefined && !deleted;
  return ours && isOne && NOT_SENT.has(state);
}

function somebodyOf(
  { bytes, fingerprint }: IdentityPublic,
  contact: Contact,
  isBlocked: boolean,
): Somebody {
  const { policy, mode, timerS } = contact;
  const name = nameFor(contact.name, toHex(fingerprint).slice(0, 16));
  return { is: 'somebody', identity: bytes, name, policy, mode, timerS, isBlocked };
}

/** A message as a file has it; null if it is none that goes. */
function saidOf(
  message: MessageRecord,
  contact: Bytes,
  records: ReadonlyMap<string, SessionRecord>,
): Said | null {
  const { content, ours, protections, deleted } = message;
  const kind = saidKind(content.kind);
  const state = STATES[message.state];
  if (kind === undefined || state === undefined || deleted) return null;
  const goneMs = goneMsOf(message);
  const pads = protections.flatMap(({ padId }) => (padId ? [padId] : []));
  const sources = protections.map(({ padSource }) => padSource);
  const isPadded = sources.every((each) => each !== null);
  return {
    is: 'said',
    contact,
    ours,
    id: content.id,
    state,
    kind,
    sentMs: content.sentMs,
    ...wordsOf(message),
    group: null,
    target: kind === Kind.reply ? (content.target ?? null) : null,
    timerS: content.timerS || null,
    goneS: goneMs === null ? null : Math.min(Math.ceil(goneMs / 1000), Number.MAX_SAFE_INTEGER),
    edited: message.edited ?? false,
    padSource: isPadded ? (sources[0] ?? null) : null,
    padBytes: protections.reduce((sum, { padBytes }) => sum + padBytes, 0),
    mixedSource: protections.find(({ mixedSource }) => mixedSource)?.mixedSource ?? null,
    padIds: pads,
    sessions: pads.map((id) => records.get(toHex(id)) ?? null),
  };
}

/** The words, or what a file of them is called, and its size. */
function wordsOf({ content, brought }: MessageRecord): Pick<Said, 'text' | 'size'> {
  const { kind, text } = content;
  if (!brought && kind === Kind.file) {
    const { name, bytes } = readSmallFile(text);
    return { text: name, size: bytes.length };
  }
  if (!brought && kind === Kind.fileKey) return largeFile(text);
  return { text: new TextDecoder().decode(text), size: brought?.size ?? null };
}

function largeFile(text: Bytes): Pick<Said, 'text' | 'size'> {
  try {
    const { name, size } = readFileKey(text);
    return { text: safeName(name), size };
  } catch (error) {
    if (!(error instanceof ContentMalformed)) throw error;
    return { text: '?', size: null };
  }
}

// From another device

/** A whole file, in its order, and nothing of it out of its bounds. */
interface Came {
  /** Fingerprint of whose it is, in hexadecimal. */
  readonly owner: string;
  /** By their fingerprints, in hexadecimal. */
  readonly people: ReadonlyMap<string, Somebody>;
  readonly said: readonly Said[];
}

/**
 * Read a file to its end.
 *
 * @param code Of that file.
 * @throws HistoryRefused if it is none, was cut or changed, or the code is another's.
 */
export async function readHistory(file: Blob, code: Bytes): Promise<Came> {
  if (file.size > MAX_TAKEN_BYTES)
    throw new HistoryRefused(
      `expected a history of at most ${MAX_TAKEN_BYTES / 2 ** 20} MiB in a browser, got a larger one`,
    );
  const people = new Map<string, Somebody>();
  const said: Said[] = [];
  let owner: string | null = null;
  let isOver = false;
  for await (const bytes of readSealed(file, code)) {
    const record = readRecord(bytes);
    if (isOver || (record.is === 'about') !== (owner === null))
      throw malformed('records in their order');
    if (record.is === 'about') owner = toHex(record.owner);
    else if (record.is === 'somebody') {
      const { fingerprint } = await IdentityPublic.read(record.identity);
      const peer = toHex(fingerprint);
      if (people.has(peer) || peer === owner) throw malformed('everybody once');
      people.set(peer, record);
    } else if (record.is === 'said') {
      const contact = toHex(record.contact);
      const isNote = contact === owner;
      if (!isNote && !people.has(contact)) throw malformed('messages with people who are in it');
      if (isNote && !record.ours) throw malformed('notes of its owner');
      said.push(record);
    } else {
      if (record.people !== people.size || record.messages !== said.length)
        throw malformed('as many records as its end counts');
      isOver = true;
    }
    if (people.size > MAX_PEOPLE || said.length > MAX_MESSAGES)
      throw malformed(`at most ${MAX_PEOPLE} people and ${MAX_MESSAGES} messages`);
  }
  if (owner === null || !isOver) throw malformed('its end');
  return { owner, people, said };
}

/**
 * Take all of a file, or nothing; what is here stays as it is.
 *
 * @param me Our fingerprint, in hexadecimal.
 * @param nowMs Milliseconds since the epoch.
 */
export function take(vault: Vault, me: string, came: Came, nowMs: number): Promise<Taken> {
  return again(async () => {
    const known = new Set((await contacts(vault)).map(({ key }) => key));
    const out = new Set((await strangers(vault)).map(({ key }) => key)).add(me);
    const changes: Change[] = [];
    const counts = { people: 0, messages: 0, known: 0, attachments: 0, expired: 0, leftOut: 0 };
    for (const [peer, somebody] of came.people) {
      if (known.has(peer) || out.has(peer)) continue;
      counts.people += 1;
      changes.push(...(await metElsewhere(vault, peer, somebody)));
    }
    const places = placesOf(came.said, nowMs);
    const here = new Map<string, Here>();
    for (const [number, said] of came.said.entries()) {
      const contact = toHex(said.contact);
      const peer = contact === came.owner ? me : contact;
      const isNote = contact === came.owner;
      if ((!isNote && out.has(peer)) || said.group !== null) counts.leftOut += 1;
      else if (said.goneS !== null && 1000 * said.goneS <= nowMs) counts.expired += 1;
      else {
        const there = here.get(peer) ?? (await hereOf(vault, peer));
        here.set(peer, there);
        if (there.said.has(toHex(said.id))) counts.known += 1;
        else {
          counts.messages += 1;
          counts.attachments += said.size === null ? 0 : 1;
          const brought = { placeMs: places[number] ?? nowMs, number };
          changes.push(...broughtBy(peer, said, there, brought, isNote));
        }
      }
    }
    await vault.commit(changes);
    return counts;
  });
}

/** Ids of the messages that are here, and of the sessions, in hexadecimal. */
interface Here {
  readonly said: Set<string>;
  readonly records: Set<string>;
}

async function hereOf(vault: Vault, peer: string): Promise<Here> {
  const all = await vault.list<MessageRecord>(messagesOf(peer));
  const records = await recordsOf(vault, peer);
  return { said: new Set(all.map(({ key }) => key)), records: new Set(records.keys()) };
}

async function metElsewhere(
  vault: Vault,
  peer: string,
  { identity, name, policy, mode, timerS, isBlocked }: Somebody,
): Promise<Change[]> {
  const none = { card: null, boxes: [], isVerified: false, since: 0 };
  const value: Contact = { ...none, name, policy, mode, timerS };
  const changes = [added(CONTACT, peer, value)];
  if (!(await vault.read(WHOSE, peer))) changes.push(added(WHOSE, peer, identity));
  if (isBlocked && !(await vault.read(BLOCKED, peer))) {
    const unheard: Blocked = { name, since: Date.now() };
    changes.push(added(BLOCKED, peer, unheard));
  }
  return changes;
}

function broughtBy(
  peer: string,
  said: Said,
  here: Here,
  place: { readonly placeMs: number; readonly number: number },
  isNote: boolean,
): Change[] {
  const { id, kind, sentMs, target, timerS, ours, goneS, size } = said;
  const content: Content = {
    kind,
    id,
    sentMs,
    text: ascii(said.text),
    ...(target ? { target } : {}),
    ...(timerS ? { timerS } : {}),
    part: 0,
    parts: 1,
  };
  const goneMs = goneS === null ? null : Math.min(1000 * goneS, LAST_MS);
  const theirs = said.state >= READ ? 'seen' : 'answered';
  const value: MessageRecord = {
    content,
    ours,
    protections: isNote ? [] : protectionsOf(said),
    state: ours ? (OURS[said.state] ?? 'sent') : theirs,
    brought: { ...place, goneMs, size },
    ...(said.edited ? { edited: true } : {}),
  };
  here.said.add(toHex(id));
  const changes = [added(messagesOf(peer), toHex(id), value)];
  for (const [at, padId] of said.padIds.entries()) {
    const session = said.sessions[at];
    if (!session || here.records.has(toHex(padId))) continue;
    here.records.add(toHex(padId));
    changes.push(recordKept(peer, padId, session));
  }
  return changes;
}

/** One for each pad; how much each of them gave is not told, so that the first stands for all. */
function protectionsOf({ padIds, padSource, padBytes, mixedSource }: Said): Protection[] {
  const first = { padSource, padBytes, mixedSource, padId: padIds[0] ?? null };
  const rest = padIds.slice(1).map((padId) => ({ padSource, padBytes: 0, mixedSource, padId }));
  return [first, ...rest];
}

/**
 * When each message was said at the latest, never falling: its sender's clock is trusted only as far as
 * the owner said nothing after it, and it is not later than now.
 */
function placesOf(said: readonly Said[], nowMs: number): number[] {
  const places = said.map(({ sentMs }) => Math.min(sentMs, nowMs));
  let limit = nowMs;
  for (let at = places.length - 1; at >= 0; at -= 1) {
    places[at] = Math.min(places[at] ?? nowMs, limit);
    if (said[at]?.ours) limit = places[at] ?? limit;
  }
  for (let at = 1; at < places.length; at += 1)
    places[at] = Math.max(places[at] ?? 0, places[at - 1] ?? 0);
  return places;
}
