/**
 * How somebody is reached: relay, the right to drop into a mailbox there, and SAE.
 *
 * Who can change a contact link on its way can put another identity into it, which the safety number
 * then shows. Whoever has it may write to its maker, so it is given to one person. Layouts are in
 * spec/chat.md, 7.
 */

import { fromBase64Url, toBase64Url } from './base64';
import { ascii, type Bytes, big, equal, join, Reader, Short, zeros } from './bytes';
import { BundleRefused, ContentMalformed, LinkRefused } from './errors';
import { FINGERPRINT_BYTES } from './identity';
import { type Bundle, encodeBundle, readBundle } from './prekeys';

export const RIGHT_BYTES = 32;
const RELAY_ID_BYTES = 32;
/** Places of a relay that a card names beside its home. */
export const MAX_HINTS = 4;
const SCHEME = 'bellwire-contact:';
const MAX_LINK_CHARACTERS = 24_000;
const MAGIC = join(ascii('bwcl'), Uint8Array.of(1));
/** What is shown of a card: letters, digits, signs, and the space; nothing that steers a screen. */
export const PRINTS = /^(?: |[^\p{C}\p{Z}])*$/u;

export interface Card {
  /** To drop into their mailbox for us, 32 bytes. Secret. */
  readonly right: Bytes;
  /** `ws://HOST:PORT` or `wss://…`, where that mailbox is. */
  readonly relay: string;
  /** Their client's id at their site's key server; empty: they have no key server. */
  readonly sae: string;
  /** What they call themselves. */
  readonly name: string;
  /** If the relay has moved: who it is, and where it was then. Nobody vouches for these. */
  readonly moved?: { readonly relayId: Bytes; readonly places: readonly string[] };
}

function told(word: string): Bytes {
  const bytes = ascii(word);
  return join(big(bytes.length, 1), bytes);
}

export function encodeCard({ right, relay, sae, name, moved }: Card): Bytes {
  const tail = moved
    ? join(moved.relayId, big(moved.places.length, 1), ...moved.places.map(told))
    : zeros(0);
  return join(right, told(relay), told(sae), told(name), tail);
}

/** @throws ContentMalformed if it is no card. */
export function readCard(encoded: Bytes): Card {
  const reader = new Reader(encoded);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const word = () => decoder.decode(reader.take(reader.number(1)));
  try {
    const card = { right: reader.take(RIGHT_BYTES), relay: word(), sae: word(), name: word() };
    const prints = [card.relay, card.sae, card.name].every((each) => PRINTS.test(each));
    if (!prints || card.name === '' || !isRelay(card.relay)) throw noCard();
    if (reader.left === 0) return card;
    const relayId = reader.take(RELAY_ID_BYTES);
    const places = Array.from({ length: reader.number(1) }, word);
    const good = places.length >= 1 && places.length <= MAX_HINTS && places.every(isPlace);
    if (reader.left > 0 || !good || new Set(places).size < places.length) throw noCard();
    return { ...card, moved: { relayId, places } };
  } catch (error) {
    if (error instanceof Short || error instanceof TypeError) throw noCard(); // cut, or no UTF-8
    throw error;
  }
}

function noCard(): ContentMalformed {
  return new ContentMalformed('expected a card of this version, got another content');
}

/** Whether it is the address of a relay. */
export function isRelay(text: string): boolean {
  if (text.includes('#') || !URL.canParse(text)) return false;
  const { protocol, hostname, port, pathname, search, username, password } = new URL(text);
  const bare = ['', '/'].includes(pathname) && search === '' && username === '' && password === '';
  return ['ws:', 'wss:'].includes(protocol) && hostname !== '' && port !== '0' && bare;
}

/** Whether it is `ws://HOST:PORT` or `wss://HOST:PORT` in the one form that counts. */
function isPlace(text: string): boolean {
  const [, host = '', port = ''] = /^wss?:\/\/(.+):([1-9]\d{0,4})$/.exec(text) ?? [];
  const named = /^(?:(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.|$))+$/.test(host) && !host.endsWith('.');
  const address = /^\[[0-9a-f:.]+\]$/.test(host);
  if (Number(port) > 65_535 || host.length > 253 || !(named || address)) return false;
  // The browser writes addresses in their one form, so that another is told from it.
  return URL.canParse(`http://${host}`) && new URL(`http://${host}`).hostname === host;
}

/** What a link says: whose it is, their keys, verified, and their card. */
export interface ContactLink {
  readonly bundle: Bundle;
  readonly card: Card;
}

/** `bellwire-contact:…`: "bwcl" ‖ 01 ‖ fingerprint 32 ‖ length of card 2 ‖ card ‖ bundle. */
export function makeLink(bundle: Bundle, card: Card): string {
  const encoded = encodeCard(card);
  const { fingerprint } = bundle.identity;
  const whole = join(MAGIC, fingerprint, big(encoded.length, 2), encoded, encodeBundle(bundle));
  return SCHEME + toBase64Url(whole);
}

/**
 * Undo `makeLink`; white space within it does not count.
 *
 * @param now Seconds since the epoch.
 * @throws LinkRefused if it is none, was cut, or its keys are not of who it says, or have expired.
 */
export async function readLink(text: string, now: number): Promise<ContactLink> {
  const bare = text.slice(0, MAX_LINK_CHARACTERS).replaceAll(/\s/g, '');
  if (text.length > MAX_LINK_CHARACTERS || !bare.startsWith(SCHEME))
    throw new LinkRefused(`expected a contact link, ${SCHEME}…, got something else`);
  const packed = bare.slice(SCHEME.length);
  if (!/^[\w-]*$/.test(packed) || packed.length % 4 === 1) throw noLink();
  const reader = new Reader(fromBase64Url(packed));
  try {
    if (!equal(reader.take(MAGIC.length), MAGIC)) throw noLink();
    const fingerprint = reader.take(FINGERPRINT_BYTES);
    const card = readCard(reader.take(reader.number(2)));
    return { bundle: await readBundle(reader.rest(), fingerprint, now), card };
  } catch (error) {
    const refused = [Short, ContentMalformed, BundleRefused].some((kind) => error instanceof kind);
    throw refused ? noLink() : error;
  }
}

function noLink(): LinkRefused {
  return new LinkRefused(
    'expected a whole contact link whose keys are valid now, got one that was cut, changed, or has expired',
  );
}
