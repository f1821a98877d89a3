/**
 * What is sealed in a message: head, place of its pad, and text, under pad where there is some.
 *
 * Layouts are in spec/chat.md, 4 and 5.4.
 */

import { ascii, type Bytes, big, isZero, join, Reader, Short } from './bytes';
import {
  CHUNK_TEXT_BYTES,
  type Content,
  decodeContent,
  encodeHead,
  idOf,
  Kind,
  PART_BYTES,
} from './content';
import { ContentMalformed, NotAuthentic, PadDiffers, PadMissing, PadSpent } from './errors';
import {
  lock,
  NO_PAD,
  OVERHEAD_BYTES,
  PAD_ID_BYTES,
  type Pads,
  type Slice,
  TAG_BYTES,
  unlock,
} from './pads';
import type { Place } from './ratchet';

const TAG = ascii('bellwire chat tag 1');

/** Bytes of text that one payload has of such a content. */
export function mostText({ kind }: Content): number {
  return kind === Kind.chunk ? CHUNK_TEXT_BYTES : PART_BYTES;
}

/** What a one-time tag covers beside the text: where the message stands, and all else of it. */
function context(sessionId: Bytes, place: Place, before: Bytes): Bytes {
  return join(TAG, sessionId, big(place.epoch, 4), big(place.number, 4), before);
}

/** The body without the filling. */
export function encodeBody(
  sessionId: Bytes,
  place: Place,
  content: Content,
  part: Slice | null,
): Bytes {
  const head = encodeHead(content);
  const { text } = content;
  const at = join(part?.padId ?? NO_PAD, big(part?.offset ?? 0, 8), big(text.length, 4));
  const before = join(Uint8Array.of(head.length), head, at);
  return join(before, part ? lock(part, text, context(sessionId, place, before)) : text);
}

/** Bytes of a pad of the peer's; as `Pads.look`, also where there are no pads. */
export async function look(
  pads: Pads | null,
  padId: Bytes,
  offset: number,
  length: number,
): Promise<Slice> {
  if (!pads) throw new PadMissing(padId);
  return pads.look(padId, offset, length);
}

/**
 * The content of an authentic body, and the pad that it was under.
 *
 * @throws ContentMalformed, PadMissing, PadSpent or PadDiffers.
 */
export async function readBody(
  sessionId: Bytes,
  place: Place,
  body: Bytes,
  pads: Pads | null,
): Promise<{ content: Content; used: Slice | null }> {
  const { head, before, padId, offset, text } = takeApart(body);
  if (isZero(padId)) return { content: decoded(head, text), used: null };
  try {
    const used = await look(pads, padId, offset, text.length - TAG_BYTES + OVERHEAD_BYTES);
    const plain = unlock(used, text, context(sessionId, place, before));
    return { content: decoded(head, plain), used };
  } catch (error) {
    if (error instanceof PadMissing || error instanceof PadSpent) error.contentId = idOf(head);
    if (error instanceof NotAuthentic) throw new PadDiffers(padId, idOf(head));
    throw error;
  }
}

interface Parts {
  head: Bytes;
  /** All before the text. */
  before: Bytes;
  padId: Bytes;
  offset: number;
  /** With the tag behind it, if there is a pad. */
  text: Bytes;
}

function takeApart(body: Bytes): Parts {
  const reader = new Reader(body);
  try {
    const head = reader.take(reader.number(1));
    const [padId, offset, length] = [reader.take(PAD_ID_BYTES), reader.number(8), reader.number(4)];
    const before = body.slice(0, body.length - reader.left);
    const text = reader.take(length + (isZero(padId) ? 0 : TAG_BYTES));
    if (length <= CHUNK_TEXT_BYTES && isZero(reader.rest()))
      return { head, before, padId, offset, text };
  } catch (error) {
    if (!(error instanceof Short)) throw error;
  }
  throw new ContentMalformed('expected a text that fits a payload and a zero filling');
}

function decoded(head: Bytes, text: Bytes): Content {
  const content = decodeContent(head, text);
  if (text.length > mostText(content))
    throw new ContentMalformed(`expected a text of at most ${mostText(content)} bytes, got more`);
  return content;
}
