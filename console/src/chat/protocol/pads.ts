/**
 * One-time pad with a one-time tag: the layer that no computing power opens or forges.
 *
 * A pad's first 16 bytes are r, the point of Poly1305's hash. Behind them each message takes 16
 * bytes, s, and as many as its text is long. No byte but r serves twice; that the place reached is
 * durable before a message leaves is the part of who keeps the pads.
 *
 * Source: Shannon, 1949; Wegman and Carter, 1981; RFC 8439, 2.5; spec/chat.md, 4.
 */

import { poly1305 } from '@noble/ciphers/_poly1305.js';
import { type Bytes, equal, isZero, join, zeros } from './bytes';
import { ChatMisuse, NotAuthentic } from './errors';

export const PAD_ID_BYTES = 16;
export const NO_PAD = zeros(PAD_ID_BYTES);
export const POINT_BYTES = 16;
/** Pad that a message takes beside its text: s. */
export const OVERHEAD_BYTES = 16;
export const TAG_BYTES = 16;
/** Pad that a step of the ratchet mixes in. */
export const MIX_BYTES = 32;
export const MAX_PAD_BYTES = 2 ** 30;

/** What a sender does about one-time pad. */
export type Policy = 'require' | 'prefer' | 'off';

/** Some bytes of one pad, for one purpose. */
export interface Slice {
  readonly padId: Bytes;
  /** Of the first byte, counted from the pad's beginning. */
  readonly offset: number;
  /** r of the pad. Secret. */
  readonly point: Bytes;
  /** The bytes themselves. Secret. */
  readonly key: Bytes;
  /** Where the pad came from: `simulated`, `recorded`, `hardware`, `vendor`, `local`. */
  readonly source: string;
}

/** The pads of one conversation, as whoever keeps them shows them to a session. */
export interface Pads {
  /**
   * The next bytes of a pad of ours, which never come again; null if none has them. For a step to
   * mix in, only of a pad that the peer has shown to have. Durable before the message leaves.
   */
  spend(length: number, forMixing: boolean): Promise<Slice | null>;

  /**
   * Bytes of a pad of the peer's. They count as spent only when `Opened.spent` names them.
   *
   * @throws PadMissing if that pad is not here; PadSpent if some of these bytes served before, or
   * the pad does not have them.
   */
  look(padId: Bytes, offset: number, length: number): Promise<Slice>;
}

function checked(part: Slice, textBytes: number): Slice {
  if (part.padId.length !== PAD_ID_BYTES || isZero(part.padId))
    throw new ChatMisuse(`expected a pad id of ${PAD_ID_BYTES} bytes that are not all zero`);
  const inside = part.offset >= POINT_BYTES && part.offset <= MAX_PAD_BYTES;
  if (!inside || part.point.length !== POINT_BYTES)
    throw new ChatMisuse('expected bytes of a pad behind its first 16, got others');
  if (part.key.length !== textBytes + OVERHEAD_BYTES)
    throw new ChatMisuse(`expected pad for ${textBytes} bytes of text, got another length`);
  return part;
}

function tag({ point, key }: Slice, covered: Bytes): Bytes {
  return Uint8Array.from(poly1305(covered, join(point, key.subarray(0, OVERHEAD_BYTES))));
}

function hidden({ key }: Slice, text: Bytes): Bytes {
  return text.map((byte, at) => byte ^ (key[OVERHEAD_BYTES + at] ?? 0));
}

/** The text under pad, and its tag behind it; the context is authenticated with it. */
export function lock(part: Slice, text: Bytes, context: Bytes): Bytes {
  checked(part, text.length);
  return join(hidden(part, text), tag(part, join(context, text)));
}

/**
 * Undo `lock`.
 *
 * @throws NotAuthentic if text, context or pad is not the one that was locked.
 */
export function unlock(part: Slice, locked: Bytes, context: Bytes): Bytes {
  const cut = locked.length - TAG_BYTES;
  checked(part, cut);
  const text = hidden(part, locked.slice(0, cut));
  if (!equal(tag(part, join(context, text)), locked.slice(cut)))
    throw new NotAuthentic('expected the one-time tag of this message, got another');
  return text;
}
