/**
 * Pads from key servers: those that we drew and offer, those that others offered, and those of
 * sessions, with what these measured. Layout in spec/chat.md, 7.3 to 7.6.
 */

import { toHex } from '../../shared/merkle';
import { ascii, type Bytes, big, isZero, join, Reader, Short } from '../protocol/bytes';
import { type Content, Kind, makeContent } from '../protocol/content';
import { ContentMalformed } from '../protocol/errors';
import { PAD_ID_BYTES } from '../protocol/pads';
import { PAD, type PadRecord, padRecord } from './pads';
import { added, again, change, type SessionRecord, say } from './talk';
import { type Change, Conflict, type Found, type Vault } from './vault';

const OFFER = 'offer';
const RECORD = 'session record';
const MAX_KEYS = 128;
const MAX_KEY_ID_BYTES = 64;
/** Of one contact, that were not fetched yet. */
const MAX_OFFERS = 64;

/** A pad, and the ids of the keys that it is made of, in order. */
export interface Offer {
  readonly peer: string;
  readonly padId: Bytes;
  readonly keyIds: readonly string[];
}

export function encodeOffer({ padId, keyIds }: Omit<Offer, 'peer'>): Bytes {
  const ids = keyIds.map(ascii);
  return join(padId, ...ids.map((id) => join(big(id.length, 1), id)));
}

/** @throws ContentMalformed if it is no offer. */
export function readOffer(text: Bytes): Omit<Offer, 'peer'> {
  const reader = new Reader(text);
  try {
    const padId = reader.take(PAD_ID_BYTES);
    const keyIds: string[] = [];
    while (reader.left > 0 && keyIds.length <= MAX_KEYS)
      keyIds.push(new TextDecoder().decode(reader.take(reader.number(1))));
    const good = keyIds.every((id) => /^[!-~]+$/.test(id) && id.length <= MAX_KEY_ID_BYTES);
    const counted = keyIds.length >= 1 && keyIds.length <= MAX_KEYS;
    if (good && counted && reader.left === 0 && !isZero(padId)) return { padId, keyIds };
  } catch (error) {
    if (!(error instanceof Short)) throw error;
  }
  throw new ContentMalformed('expected the offer of a pad, got another content');
}

/** What the offer of a pad changes; more than we take from one contact changes nothing. */
export async function offered(vault: Vault, peer: string, content: Content): Promise<Change[]> {
  if (content.kind !== Kind.padOffer) return [];
  const value: Offer = { peer, ...readOffer(content.text) };
  const key = toHex(value.padId);
  const known = (await vault.read(PAD, key)) ?? (await vault.read(OFFER, key));
  const there = known ? MAX_OFFERS : (await offersOf(vault, peer)).length;
  return there < MAX_OFFERS ? [added(OFFER, key, value)] : [];
}

export async function offersOf(vault: Vault, peer: string): Promise<Found<Offer>[]> {
  return (await vault.list<Offer>(OFFER)).filter(({ value }) => value.peer === peer);
}

/** What somebody has offered, and all pads with them, go. */
export async function padless(vault: Vault, peer: string): Promise<Change[]> {
  const pads = await vault.list<PadRecord>(PAD);
  return [
    ...(await offersOf(vault, peer)).map((each) => change(OFFER, each, null)),
    ...pads.filter(({ value }) => value.peer === peer).map((each) => change(PAD, each, null)),
  ];
}

/** The same, and what their sessions measured. */
export async function unoffered(vault: Vault, peer: string): Promise<Change[]> {
  const measured = await vault.list<SessionRecord>(RECORD);
  return [
    ...(await padless(vault, peer)),
    ...measured
      .filter(({ key }) => key.startsWith(`${peer} `))
      .map((each) => change(RECORD, each, null)),
  ];
}

/** What can never be had is wanted no more. */
export async function forget(vault: Vault, offer: Found<Offer>): Promise<void> {
  await vault.commit([change(OFFER, offer, null)]);
}

/** Keep a pad that we drew, and say which keys it is made of: in one commit. */
export async function offerPad(
  vault: Vault,
  peer: string,
  { source, keyIds, pad }: { source: string; keyIds: readonly string[]; pad: Bytes },
): Promise<void> {
  const padId = crypto.getRandomValues(new Uint8Array(PAD_ID_BYTES));
  const all = await vault.list<PadRecord>(PAD);
  const order = 1 + Math.max(0, ...all.map(({ value }) => value.order));
  const record = padRecord({ peer, ours: true, order, id: padId, source }, pad);
  const content = makeContent({
    kind: Kind.padOffer,
    id: crypto.getRandomValues(new Uint8Array(16)),
    sentMs: Date.now(),
    text: encodeOffer({ padId, keyIds }),
  });
  await say(vault, peer, content, 'off', [added(PAD, toHex(padId), record)]);
}

/** A pad of theirs that came from a key server. */
export interface Came {
  readonly padId: Bytes;
  readonly source: string;
  readonly pad: Bytes;
  readonly record?: SessionRecord | null;
}

/** Keep a pad under which somebody sends, and what its session measured. */
export async function takePad(
  vault: Vault,
  peer: string,
  { padId, source, pad, record }: Came,
  offer: Found<Offer> | null = null,
): Promise<void> {
  const key = toHex(padId);
  const kept = padRecord({ peer, ours: false, order: 0, id: padId, source }, pad);
  const changes = [added(PAD, key, kept)];
  if (offer) changes.push(change(OFFER, offer, null));
  if (record) changes.push(recordKept(peer, padId, record));
  try {
    await vault.commit(changes);
  } catch (error) {
    if (!(error instanceof Conflict)) throw error; // it was taken meanwhile
  }
}

/** What is kept of a session beside its pad. */
export function recordKept(peer: string, padId: Bytes, record: SessionRecord): Change {
  return added(RECORD, `${peer} ${toHex(padId)}`, record);
}

/** What sessions with somebody measured, by the id of their pad. */
export async function recordsOf(
  vault: Vault,
  peer: string,
): Promise<ReadonlyMap<string, SessionRecord>> {
  const all = await vault.list<SessionRecord>(RECORD);
  const theirs = all.filter(({ key }) => key.startsWith(`${peer} `));
  return new Map(theirs.map(({ key, value }) => [key.slice(peer.length + 1), value]));
}

/** A pad of ours that the other side has not, or has another: it serves no more. */
export function dropPad(vault: Vault, padId: Bytes): Promise<void> {
  return again(async () => {
    const found = await vault.read<PadRecord>(PAD, toHex(padId));
    if (found?.value.ours) await vault.commit([change(PAD, found, null)]);
  });
}
