/**
 * What is said and heard, each in one commit: session, pad, payload and message stand together on the
 * disk before anything leaves, or before the relay is told that something is safe.
 *
 * Two windows may work at once: whoever comes second reads again, and takes other bytes of pad.
 */

import type { Schemas } from '../../api/client';
import { toHex } from '../../shared/merkle';
import { type Bytes, equal } from '../protocol/bytes';
import { type Content, isPadded, joinParts, Kind, split } from '../protocol/content';
import {
  ChatMisuse,
  NotAuthentic,
  OpeningRefused,
  Replayed,
  SessionAbsent,
} from '../protocol/errors';
import { type Identity, IdentityPublic } from '../protocol/identity';
import { accept, begin, openingId } from '../protocol/opening';
import type { Policy } from '../protocol/pads';
import type { Bundle, PrekeySecret } from '../protocol/prekeys';
import {
  type Opened,
  openMessage,
  type Protection,
  type Session,
  sealMessage,
  sessionOf,
} from '../protocol/session';
import { PAD, type PadRecord, padRecord, Staged } from './pads';
import { PREKEY } from './person';
import { type Change, Conflict, type Found, type Vault } from './vault';

const SESSION = 'session';
export const WHOSE = 'identity of';
const OPENING = 'opening';
export const OUTBOX = 'outbox';
const PART = 'part';
/** Of who was asked for a new session: the id of the one-time prekey that it is begun by. */
export const ASKED = 'session asked for';
/** Of who asks for one. */
export const WISH = 'session wished for';
/** Of who has begun the one that we asked for. */
export const BEGUN = 'session begun anew';
/** Whom we know. */
export const CONTACT = 'contact';
/** Whom we do not hear: no session of theirs begins. */
export const BLOCKED = 'blocked';
const ATTEMPTS = 10;
const TTL_S = 14 * 86_400;
const TYPING_TTL_S = 10;

/** What a session measured, as the key server of our site tells it. */
export type SessionRecord = Schemas['SessionRecord'];
/** A session that is under way. */
export type SessionNow = Schemas['SessionNow'];

/** A payload that the relay has not taken yet. */
export interface Waiting {
  /** Fingerprint of whom it is for, in hexadecimal. */
  readonly peer: string;
  readonly payload: Bytes;
  /** Id of the message that it is of, in hexadecimal; null: of one that is not shown. */
  readonly message: string | null;
  /** Of ours, in the order in which they were sealed. */
  readonly order: number;
  /** Seconds for which the relay is to keep it. */
  readonly ttlS: number;
}

export interface MessageRecord {
  readonly content: Content;
  readonly ours: boolean;
  /** One for each part. */
  readonly protections: readonly Protection[];
  /**
   * Of ours: `unsent` was kept, and is not sealed; `withheld` had not left when we blocked them, and
   * never will. Of theirs: `heard`, then `answered` once they are
   * told that it came, then `seen`.
   */
  readonly state:
    | 'unsent'
    | 'waiting'
    | 'withheld'
    | 'sent'
    | 'delivered'
    | 'read'
    | 'refused'
    | 'heard'
    | 'answered'
    | 'seen';
  /** When it was read here, or we heard that it was read there; milliseconds since the epoch. */
  readonly readMs?: number;
  /** Of ours that is `unsent`: the session that was aborted, last. */
  readonly aborted?: SessionRecord;
  /** How often it was sealed anew, as its pad was not at the other side. */
  readonly retries?: number;
  readonly edited?: boolean;
  /** Its author took it back: the words are gone. */
  readonly deleted?: boolean;
  /** It has disappeared: its id is all there is, so that nothing brings it back. */
  readonly gone?: boolean;
  /** Another device of ours said or heard it, and not this one: nobody is told anything of it. */
  readonly brought?: Brought;
}

/** What a file of history says of a message, beside what every message has. */
export interface Brought {
  /** Where it stands among others: when it was said at the latest, milliseconds since the epoch. */
  readonly placeMs: number;
  /** Its number in the file. */
  readonly number: number;
  /** When it disappears; null: its time does not run. */
  readonly goneMs: number | null;
  /** Of an attachment, whose name its words are; it is on the other device. */
  readonly size: number | null;
}

/** When it disappears, in milliseconds since the epoch; null: its time does not run. */
export function goneMsOf({ content, readMs, brought }: MessageRecord): number | null {
  if (brought && brought.goneMs !== null) return brought.goneMs;
  return content.timerS && readMs ? readMs + 1000 * content.timerS : null;
}

/** Whether it was to disappear, and its time has come. */
export function isOver(message: MessageRecord, nowMs = Date.now()): boolean {
  const goneMs = goneMsOf(message);
  return goneMs !== null && goneMs <= nowMs;
}

/** Leave nothing of a message of two, or of a note, but its id. */
export function disappear(vault: Vault, peer: string, id: Bytes): Promise<void> {
  return again(async () => {
    const found = await vault.read<MessageRecord>(messagesOf(peer), toHex(id));
    if (!found) return;
    const { content, ours, state } = found.value;
    const bare = { kind: content.kind, sentMs: content.sentMs, id, part: 0, parts: 1 };
    const nothing = { content: { ...bare, text: new Uint8Array() }, protections: [] };
    const value: MessageRecord = { ...nothing, ours, state, deleted: true, gone: true };
    await vault.commit([change(messagesOf(peer), found, value)]);
  });
}

/** Which of two messages stands first. */
export function order(one: MessageRecord, other: MessageRecord): number {
  const place = ({ brought, content }: MessageRecord) => brought?.placeMs ?? content.sentMs;
  const number = ({ brought }: MessageRecord) => brought?.number ?? -1;
  return place(one) - place(other) || number(one) - number(other);
}

/** What the session of a message measured, the last of them; null if it had none of its own. */
export function recordOf(
  { protections, aborted }: MessageRecord,
  records: ReadonlyMap<string, SessionRecord>,
): SessionRecord | null {
  const last = protections.findLast(({ padId }) => padId && records.has(toHex(padId)));
  return (last?.padId && records.get(toHex(last.padId))) || aborted || null;
}

interface PartRecord {
  readonly content: Content;
  readonly protection: Protection;
}

export const messagesOf = (peer: string) => `message ${peer}`;
export const change = <T>(kind: string, { key, version }: Found<T>, value: T | null): Change => ({
  kind,
  key,
  value,
  expected: version,
});
export const added = (kind: string, key: string, value: unknown): Change => ({
  kind,
  key,
  value,
  expected: 0,
});

export async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Conflict) || attempt === ATTEMPTS) throw error;
    }
  }
}

async function padsOf(vault: Vault, peer: string): Promise<Staged> {
  const all = await vault.list<PadRecord>(PAD);
  return new Staged(all.filter(({ value }) => value.peer === peer));
}

/** A pad that a session has made for one part of one message. Secret. */
export interface FreshPad {
  readonly padId: Bytes;
  readonly source: string;
  readonly pad: Bytes;
}

/** Those alone, each for its part, in their order. */
function freshOf(peer: string, pads: readonly FreshPad[]): Staged {
  return new Staged(
    pads.map(({ padId: id, source, pad }, order) => ({
      key: toHex(id),
      value: padRecord({ peer, ours: true, order, id, source }, pad),
      version: 0,
    })),
  );
}

/** Whether there is a session with somebody, so that they can be written to. */
export async function hasSession(vault: Vault, peer: string): Promise<boolean> {
  const all = await vault.list<Kept>(SESSION);
  return all.some(({ value }) => toHex(value.session.peer) === peer);
}

/** The newest session with somebody. @throws SessionAbsent */
async function sessionWith(vault: Vault, peer: string): Promise<Found<Kept>> {
  const all = await sessionsWith(vault, peer);
  const [newest] = all.toSorted((one, other) => other.value.begun - one.value.begun);
  if (!newest) throw new SessionAbsent('expected a session with them, got none');
  return newest;
}

/** Whether the peer was not heard yet on the session that we send on. @throws SessionAbsent */
export async function begins(vault: Vault, peer: string): Promise<boolean> {
  return (await sessionWith(vault, peer)).value.session.opening.length > 0;
}

interface Kept {
  readonly session: Session;
  /** Milliseconds since the epoch. */
  readonly begun: number;
}

/**
 * A new session with the owner of a bundle, which is sent on from now on, whatever the clock says,
 * and what is said first on it, which begins it also if there is nothing else to say.
 */
export async function begunBy(
  vault: Vault,
  identity: Identity,
  bundle: Bundle,
  first: readonly Content[],
): Promise<Change[]> {
  const about = { peer: toHex(bundle.identity.fingerprint), message: null, ttlS: TTL_S };
  const begins = await begin(identity, bundle);
  const sealed = await sealedAll(vault, begins, first, new Staged([]), 'off', about);
  const value = keptNow(await vault.list<Kept>(SESSION), sealed.session);
  const session = added(SESSION, toHex(value.session.id), value);
  return [session, ...sealed.changes, ...(await isOf(vault, bundle.identity))];
}

function keptNow(all: readonly Found<Kept>[], session: Session): Kept {
  return { session, begun: Math.max(Date.now(), ...all.map(({ value }) => value.begun + 1)) };
}

/** Somebody's wish for a new session. */
export interface Wish {
  /** Of the message. */
  readonly id: Bytes;
  /** Their keys, as they came. */
  readonly text: Bytes;
}

/** Keep the keys of an identity that somebody has proved. */
async function isOf(vault: Vault, { bytes, fingerprint }: IdentityPublic): Promise<Change[]> {
  const key = toHex(fingerprint);
  return (await vault.read(WHOSE, key)) ? [] : [added(WHOSE, key, bytes)];
}

/** The keys of somebody whom we have met; null: those that we keep no longer than their session. */
export async function identityOf(vault: Vault, peer: string): Promise<IdentityPublic | null> {
  const found = await vault.read<Bytes>(WHOSE, peer);
  return found && IdentityPublic.read(found.value);
}

/**
 * Seal a content for somebody, in as many parts as it takes.
 *
 * @param besides What changes in the same commit.
 * @param fresh Pads for this content alone, one for each part, and then no others serve it.
 * @throws PadExhausted and what else `sealMessage` throws; nothing has changed.
 */
export function say(
  vault: Vault,
  peer: string,
  content: Content,
  policy: Policy,
  besides: readonly Change[] = [],
  fresh: readonly FreshPad[] = [],
): Promise<void> {
  return again(async () => {
    const found = await sessionWith(vault, peer);
    const staged = fresh.length > 0 ? freshOf(peer, fresh) : await padsOf(vault, peer);
    const message = isPadded(content.kind) ? toHex(content.id) : null;
    const ttlS = content.kind === Kind.typing ? TYPING_TTL_S : TTL_S;
    const { session } = found.value;
    const about = { peer, message, ttlS };
    const sealed = await sealedAll(vault, session, split(content), staged, policy, about);
    const { protections } = sealed;
    const changes = [...besides, ...sealed.changes];
    if (message) {
      const kind = messagesOf(peer);
      const before = await vault.read<MessageRecord>(kind, message);
      // A copy for a member that was taken back meanwhile goes to nobody.
      if (content.group && !before) return;
      const retries = before?.value.retries ?? 0;
      const now: MessageRecord = { content, ours: true, protections, state: 'waiting' };
      const value = retries > 0 ? { ...now, retries } : now;
      if (before && before.value.state !== 'unsent')
        throw new ChatMisuse('expected a message that was not sealed before, got one that was');
      changes.push(before ? change(kind, before, value) : added(kind, message, value));
      if (content.target) changes.push(...(await retold(vault, peer, content, true)));
    }
    const after = { ...found.value, session: sealed.session };
    changes.push(change(SESSION, found, after), ...staged.changes());
    await vault.commit(changes);
  });
}

/**
 * Seal contents that are nobody's words, all in one commit, under no pad.
 *
 * @param besides What changes in the same commit.
 */
export function sayAll(
  vault: Vault,
  peer: string,
  contents: readonly Content[],
  besides: () => Promise<readonly Change[]>,
): Promise<void> {
  return again(async () => {
    const found = await sessionWith(vault, peer);
    const more = await besides();
    const about = { peer, message: null, ttlS: TTL_S };
    const none = new Staged([]);
    const sealed = await sealedAll(vault, found.value.session, contents, none, 'off', about);
    const after = { ...found.value, session: sealed.session };
    await vault.commit([...more, ...sealed.changes, change(SESSION, found, after)]);
  });
}

/** Payloads of these for the relay, behind what waits for it. */
async function sealedAll(
  vault: Vault,
  before: Session,
  contents: readonly Content[],
  staged: Staged,
  policy: Policy,
  about: Pick<Waiting, 'peer' | 'message' | 'ttlS'>,
): Promise<{ session: Session; changes: Change[]; protections: Protection[] }> {
  const [changes, protections]: [Change[], Protection[]] = [[], []];
  const waits = await vault.list<Waiting>(OUTBOX);
  let order = Math.max(0, ...waits.map(({ value }) => value.order + 1));
  let session = before;
  for (const content of contents) {
    const sealed = await sealMessage(session, content, staged, policy);
    const token = toHex(crypto.getRandomValues(new Uint8Array(16)));
    const value: Waiting = { ...about, payload: sealed.payload, order };
    changes.push(added(OUTBOX, token, value));
    protections.push(sealed.protection);
    session = sealed.session;
    order += 1;
  }
  return { session, changes, protections };
}

/** Keep a message of ours that cannot be sealed now; `say` of the same one sends it. */
export function keepUnsent(vault: Vault, peer: string, content: Content): Promise<void> {
  return again(async () => {
    const kind = messagesOf(peer);
    const before = await vault.read<MessageRecord>(kind, toHex(content.id));
    if (before) return;
    const value: MessageRecord = { content, ours: true, protections: [], state: 'unsent' };
    await vault.commit([added(kind, toHex(content.id), value)]);
  });
}

/** The first message of ours that waits to be sealed; null if none does. */
export async function firstUnsent(vault: Vault, peer: string): Promise<MessageRecord | null> {
  const all = await messages(vault, peer);
  return all.find(({ ours, state }) => ours && state === 'unsent') ?? null;
}

/** The session of a message of ours was aborted: why it is not sent. */
export function keepAborted(
  vault: Vault,
  peer: string,
  id: Bytes,
  aborted: SessionRecord,
): Promise<void> {
  return again(async () => {
    const found = await vault.read<MessageRecord>(messagesOf(peer), toHex(id));
    if (found?.value.state !== 'unsent') return;
    await vault.commit([change(messagesOf(peer), found, { ...found.value, aborted })]);
  });
}

const MOST_RETRIES = 3;
const NOT_SEALED: ReadonlySet<MessageRecord['state']> = new Set(['unsent', 'withheld']);

/**
 * The other side can never have the pad that a message of ours was under: it is to be sealed anew.
 *
 * @returns The message; null if it is none of ours, or was sealed anew too often, and is refused.
 */
export function unseal(vault: Vault, peer: string, id: string): Promise<MessageRecord | null> {
  return again(async () => {
    const found = await vault.read<MessageRecord>(messagesOf(peer), id);
    if (!found?.value.ours || NOT_SEALED.has(found.value.state) || found.value.brought) return null;
    const retries = (found.value.retries ?? 0) + 1;
    const state = retries > MOST_RETRIES ? 'refused' : 'unsent';
    const value: MessageRecord = { ...found.value, retries, state, protections: [] };
    await vault.commit([change(messagesOf(peer), found, value)]);
    return state === 'unsent' ? value : null;
  });
}

/** What a message changes beside what is said; `isMet`: they have begun another session by it. */
export type Also = (peer: string, content: Content, isMet: boolean) => Promise<Change[]>;

/** What is said in or about a group changes; what it throws is thrown, and nothing has changed. */
export type InGroup = (
  peer: string,
  content: Content,
  protections: readonly Protection[],
) => Promise<Change[]>;

/** What waits for the relay, oldest first; the key of each is its token. */
export async function waiting(vault: Vault): Promise<Found<Waiting>[]> {
  const all = await vault.list<Waiting>(OUTBOX);
  return all.toSorted((one, other) => one.value.order - other.value.order);
}

/** The relay has taken it; a message of which nothing waits any more is sent. */
export function taken(vault: Vault, token: string): Promise<void> {
  return again(async () => {
    const found = await vault.read<Waiting>(OUTBOX, token);
    if (!found) return;
    const { peer, message } = found.value;
    const all = message ? await waiting(vault) : [];
    const rest = all.filter(({ key, value }) => key !== token && value.message === message);
    const changes = [change(OUTBOX, found, null)];
    if (message && rest.length === 0) {
      const sent = await vault.read<MessageRecord>(messagesOf(peer), message);
      if (sent?.value.state === 'waiting')
        changes.push(change(messagesOf(peer), sent, { ...sent.value, state: 'sent' }));
    }
    await vault.commit(changes);
  });
}

interface Came {
  /** Who said it. */
  readonly peer: string;
  readonly content: Content;
  /** All of it; null while parts of it are missing, or where it does not count. */
  readonly whole: Content | null;
  /** Whether it came without pad, which we do not take; nothing of it is kept. */
  readonly isRefused: boolean;
  /** Whether it was here before: its author does not know that, and is told once more. */
  readonly isAgain: boolean;
}

/**
 * Open what came, and keep what it says; what does not open throws, and has changed nothing.
 *
 * @param now Seconds since the epoch.
 * @param also What changes besides, in the same commit; what it throws is thrown.
 * @param inGroup What a content in a group changes.
 * @param policyOf What is taken of somebody without pad: nothing under `require`.
 * @throws MessageRefused, OpeningRefused.
 */
export function hear(
  vault: Vault,
  identity: Identity,
  payload: Bytes,
  now: number,
  also: Also = async () => [],
  inGroup: InGroup = async () => [],
  policyOf: (peer: string) => Promise<Policy> = async () => 'prefer',
): Promise<Came> {
  return again(async () => {
    const { found, changes, isMet } = await sessionFor(vault, identity, payload, now);
    const peer = toHex(found.value.session.peer);
    const staged = await padsOf(vault, peer);
    const opened = await openMessage(found.value.session, payload, staged);
    staged.erase(opened.spent);
    const { content, protection } = opened;
    const isBare = isPadded(content.kind) && !protection.padId;
    const isRefused = isBare && (await policyOf(peer)) === 'require';
    let whole: Content | null = null;
    let isAgain = false;
    if (!isRefused) {
      const said = await heard(vault, peer, opened, staged, inGroup);
      changes.push(...said.changes, ...(await also(peer, content, isMet)));
      ({ whole, isAgain = false } = said);
    }
    const value = { ...found.value, session: opened.session };
    await vault.commit(once([change(SESSION, found, value), ...staged.changes(), ...changes]));
    return { peer, content, whole, isRefused, isAgain };
  });
}

/** Of several changes of one record, the first. */
function once(all: readonly Change[]): Change[] {
  const place = ({ kind, key }: Change) => `${kind} ${key}`;
  const first = new Map(all.toReversed().map((each) => [place(each), each]));
  return [...first.values()];
}

interface Opens {
  readonly found: Found<Kept>;
  readonly changes: Change[];
  /** Whether it is another one than there was, and none that we asked for. */
  readonly isMet: boolean;
}

/** The session that a payload belongs to, or the one that it begins, with what that changes. */
async function sessionFor(
  vault: Vault,
  identity: Identity,
  payload: Bytes,
  now: number,
): Promise<Opens> {
  const all = await vault.list<Kept>(SESSION);
  try {
    const { id } = await sessionOf(
      payload,
      all.map(({ value }) => value.session),
    );
    const found = all.find(({ key }) => key === toHex(id));
    if (found) return { found, changes: [], isMet: false };
  } catch (error) {
    if (!(error instanceof NotAuthentic)) throw error;
  }
  const named = await openingId(payload);
  if (!named) throw new NotAuthentic('expected a message of one of our sessions, got another');
  const name = toHex(named);
  if (await vault.read(OPENING, name))
    throw new Replayed('expected an opening that has not come before, got one again');
  return begun(vault, identity, payload, name, now, all);
}

async function begun(
  vault: Vault,
  identity: Identity,
  payload: Bytes,
  name: string,
  now: number,
  all: readonly Found<Kept>[],
): Promise<Opens> {
  const prekey = (id: Bytes) => vault.read<PrekeySecret>(PREKEY, toHex(id));
  const lookup = async (id: Bytes) => {
    const found = await prekey(id);
    return found && found.value.prekey.notAfter > now ? found.value : null;
  };
  const { session, oneTime, peer } = await accept(identity, payload, lookup);
  if (await vault.read(BLOCKED, toHex(peer.fingerprint)))
    throw new OpeningRefused('expected an opening of somebody who is heard, got a blocked one');
  const changes = [added(OPENING, name, true), ...(await isOf(vault, peer))];
  let isMet = true;
  if (oneTime) {
    const used = await prekey(oneTime);
    if (!used) throw new OpeningRefused('expected a prekey that is not used, got a used one');
    changes.push(change(PREKEY, used, null));
    const who = toHex(peer.fingerprint);
    const asked = await vault.read<Bytes>(ASKED, who);
    if (asked && equal(asked.value, oneTime)) {
      changes.push(change(ASKED, asked, null), added(BEGUN, who, true));
      isMet = false;
    }
  }
  const found = { key: toHex(session.id), value: keptNow(all, session), version: 0 };
  return { found, changes, isMet };
}

/** What an opened content changes: a message, a part of one, or what became of ours. */
async function heard(
  vault: Vault,
  peer: string,
  opened: Opened,
  staged: Staged,
  inGroup: InGroup,
): Promise<{ whole: Content | null; changes: Change[]; isAgain?: boolean }> {
  const { content } = opened;
  const { kind, id } = content;
  if (kind === Kind.delivered || kind === Kind.read || kind === Kind.refused) {
    const state = kind === Kind.delivered ? 'delivered' : kind === Kind.read ? 'read' : 'refused';
    return { whole: content, changes: await told(vault, peer, content, state, staged) };
  }
  if (isPadded(kind) && (await vault.read(messagesOf(peer), toHex(id))))
    return { whole: null, changes: [], isAgain: true }; // by another pad, or session
  const { all, changes } = await gathered(vault, peer, opened);
  if (!all) return { whole: null, changes };
  const whole = joinParts(all.map((each) => each.content));
  const protections = all.map((each) => each.protection);
  if (kind === Kind.renew) {
    const before = await vault.read<Wish>(WISH, peer);
    const wish: Wish = { id, text: whole.text };
    changes.push(before ? change(WISH, before, wish) : added(WISH, peer, wish));
  }
  if (whole.group) changes.push(...(await inGroup(peer, whole, protections)));
  else if (isPadded(kind)) changes.push(...(await saidBy(vault, peer, whole, protections)));
  return { whole, changes };
}

/** All parts of a content, once this one is here; null, and it is kept, while others are missing. */
async function gathered(
  vault: Vault,
  peer: string,
  { content, protection }: Opened,
): Promise<{ all: PartRecord[] | null; changes: Change[] }> {
  const { id, part, parts } = content;
  const own = { content, protection };
  const others = parts > 1 ? await partsOf(vault, peer, id) : [];
  if (others.some(({ value }) => value.content.part === part)) return { all: null, changes: [] };
  if (others.length + 1 < parts)
    return { all: null, changes: [added(PART, `${peer} ${toHex(id)} ${part}`, own)] };
  const changes = others.map((each) => change(PART, each, null));
  return { all: [...others.map(({ value }) => value), own], changes };
}

/** What a whole message of somebody changes, where it counts. */
export async function saidBy(
  vault: Vault,
  peer: string,
  whole: Content,
  protections: readonly Protection[],
): Promise<Change[]> {
  // An edit's words stand where they belong, and nowhere else.
  const content = whole.kind === Kind.edit ? { ...whole, text: new Uint8Array() } : whole;
  const value: MessageRecord = { content, ours: false, protections, state: 'heard' };
  return [
    added(messagesOf(peer), toHex(whole.id), value),
    ...(await retold(vault, peer, whole, false)),
  ];
}

/** What an edit or a deletion makes of what the same author said in the same conversation. */
export async function retold(
  vault: Vault,
  peer: string,
  { kind, text, target, group }: Content,
  ours: boolean,
): Promise<Change[]> {
  if (!target || (kind !== Kind.edit && kind !== Kind.delete)) return [];
  const found = await vault.read<MessageRecord>(messagesOf(peer), toHex(target));
  if (!found || found.value.ours !== ours || found.value.deleted) return [];
  const before = found.value.content;
  if (hexOf(before.group) !== hexOf(group)) return [];
  const words = kind === Kind.edit ? text : new Uint8Array();
  const how = kind === Kind.edit ? { edited: true } : { deleted: true };
  const value: MessageRecord = { ...found.value, content: { ...before, text: words }, ...how };
  return [change(messagesOf(peer), found, value)];
}

async function partsOf(vault: Vault, peer: string, id?: Bytes): Promise<Found<PartRecord>[]> {
  const all = await vault.list<PartRecord>(PART);
  const first = id ? `${peer} ${toHex(id)} ` : `${peer} `;
  return all.filter(({ key }) => key.startsWith(first));
}

async function sessionsWith(vault: Vault, peer: string): Promise<Found<Kept>[]> {
  const all = await vault.list<Kept>(SESSION);
  return all.filter(({ value }) => toHex(value.session.peer) === peer);
}

/** How many there are of somebody: sessions, messages, and parts of some that are not whole. */
export async function keptOf(
  vault: Vault,
  peer: string,
): Promise<{ sessions: number; messages: number; parts: number }> {
  return {
    sessions: (await sessionsWith(vault, peer)).length,
    messages: (await vault.list(messagesOf(peer))).length,
    parts: (await partsOf(vault, peer)).length,
  };
}

/** Who has sealed a payload of a session that we have, in hexadecimal; null: of none. */
export async function writerOf(vault: Vault, payload: Bytes): Promise<string | null> {
  const all = (await vault.list<Kept>(SESSION)).map(({ value }) => value.session);
  try {
    return toHex((await sessionOf(payload, all)).peer);
  } catch (error) {
    if (!(error instanceof NotAuthentic)) throw error;
    return null;
  }
}

/** Sessions with somebody go, their keys, and what was said between the two. */
export async function unheard(vault: Vault, peer: string): Promise<Change[]> {
  const sessions = await sessionsWith(vault, peer);
  const all = await vault.list<MessageRecord>(messagesOf(peer));
  const said = all.filter(({ value }) => !value.content.group);
  const whose = await vault.read<Bytes>(WHOSE, peer);
  return [
    ...sessions.map((each) => change(SESSION, each, null)),
    ...said.map((each) => change(messagesOf(peer), each, null)),
    ...(await partsOf(vault, peer)).map((each) => change(PART, each, null)),
    ...(whose ? [change(WHOSE, whose, null)] : []),
  ];
}

/**
 * Nothing goes to somebody any more, and nothing of theirs opens: sessions go, what came in part, what
 * was to leave, and any wish for another session. What was said between the two stays.
 */
export async function cutOff(vault: Vault, peer: string): Promise<Change[]> {
  const kind = messagesOf(peer);
  const outbox = await vault.list<Waiting>(OUTBOX);
  const unsaid = (await vault.list<MessageRecord>(kind)).filter(
    ({ value: { ours, state } }) => ours && (state === 'unsent' || state === 'waiting'),
  );
  const withheld = { state: 'withheld', protections: [] } as const;
  const wishes = await Promise.all([ASKED, WISH, BEGUN].map((each) => vault.read(each, peer)));
  return [
    ...(await sessionsWith(vault, peer)).map((each) => change(SESSION, each, null)),
    ...(await partsOf(vault, peer)).map((each) => change(PART, each, null)),
    ...outbox.filter(({ value }) => value.peer === peer).map((each) => change(OUTBOX, each, null)),
    // A copy of what was said in a group goes, as to somebody who has left it.
    ...unsaid.map((each) =>
      change(kind, each, each.value.content.group ? null : { ...each.value, ...withheld }),
    ),
    ...[ASKED, WISH, BEGUN].flatMap((each, at) => {
      const found = wishes[at];
      return found ? [change(each, found, null)] : [];
    }),
  ];
}

const ORDER: readonly MessageRecord['state'][] = ['waiting', 'sent', 'delivered', 'read'];

async function told(
  vault: Vault,
  peer: string,
  { text }: Content,
  state: 'delivered' | 'read' | 'refused',
  staged: Staged,
): Promise<Change[]> {
  const changes: Change[] = [];
  const ids = new Set<string>();
  for (let at = 0; at < text.length; at += 16) ids.add(toHex(text.slice(at, at + 16)));
  for (const id of ids) {
    const found = await vault.read<MessageRecord>(messagesOf(peer), id);
    if (!found?.value.ours || found.value.brought) continue;
    if (state !== 'refused')
      for (const { padId } of found.value.protections) if (padId) staged.show(padId);
    // A late receipt does not take back what a newer one said.
    if (state !== 'refused' && ORDER.indexOf(state) <= ORDER.indexOf(found.value.state)) continue;
    const read = state === 'read' ? { readMs: Date.now() } : {};
    changes.push(change(messagesOf(peer), found, { ...found.value, ...read, state }));
  }
  return changes;
}

/** The messages with somebody, oldest first. */
export async function messages(vault: Vault, peer: string): Promise<MessageRecord[]> {
  const all = (await vault.list<MessageRecord>(messagesOf(peer))).map(({ value }) => value);
  return all.filter(({ gone }) => !gone).toSorted(order);
}

/** Id of a group; of a conversation of two, nothing. */
export const hexOf = (group: Bytes | undefined): string => (group ? toHex(group) : '');
