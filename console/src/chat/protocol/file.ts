/**
 * Files: one that is whole in its message, and the key and the chunks of a larger one
 * (spec/chat.md, 8).
 */

import { ascii, type Bytes, big, join, Reader, Short } from './bytes';
import { MAX_TEXT_BYTES } from './content';
import { ChatMisuse, ContentMalformed, NotAuthentic } from './errors';
import { openSealed, seal } from './suite';

const MAX_NAME_BYTES = 255;
export const CHUNK_BYTES = 12_288;
export const MAX_FILE_BYTES = 100 * 2 ** 20;
const MAX_RANGES = 16;
/** Chunks that are asked for at once. */
export const MAX_ASKED = 64;
const KEY_BYTES = 32;
const CONTEXT = ascii('bellwire chat file 1');

/** What a receiver must know of a file that comes in chunks. Secret. */
export interface FileKey {
  /** Of all its chunks, and of no other file. */
  readonly key: Bytes;
  /** Of the whole file. */
  readonly sha256: Bytes;
  /** In bytes. */
  readonly size: number;
  /** As its sender calls it; `safeName` makes it harmless. */
  readonly name: string;
}

/** From a chunk on, so many. */
export type Range = readonly [first: number, many: number];

/** A file that is whole in its message. */
export interface SmallFile {
  readonly name: string;
  readonly bytes: Bytes;
}

/** A name as it travels: not empty, and not too long. */
export function nameBytes(name: string): Bytes {
  let short = [...name];
  while (ascii(short.join('')).length > MAX_NAME_BYTES) short = short.slice(0, -1);
  return ascii(short.join('') || 'attachment');
}

/** The last part of a name, without what steers a screen. */
export function safeName(name: string): string {
  const plain = name.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '');
  return plain.split(/[/\\]/).at(-1) || '?';
}

/** @throws ChatMisuse if it is too large. */
export function smallFile(name: string, bytes: Bytes): Bytes {
  if (bytes.length > MAX_TEXT_BYTES)
    throw new ChatMisuse(`expected a file of at most ${MAX_TEXT_BYTES} bytes, got ${bytes.length}`);
  const called = nameBytes(name);
  return join(Uint8Array.of(called.length), called, bytes);
}

/** Undo `smallFile`; the name is safe. */
export function readSmallFile(text: Bytes): SmallFile {
  const end = 1 + (text[0] ?? 0);
  const name = safeName(new TextDecoder().decode(text.slice(1, end)));
  return { name, bytes: text.slice(end) };
}

export function encodeFileKey({ key, sha256, size, name }: FileKey): Bytes {
  return join(key, sha256, big(size, 8), nameBytes(name));
}

/** @throws ContentMalformed if it is none, or of a file that is too large or goes in a message. */
export function readFileKey(text: Bytes): FileKey {
  const reader = new Reader(text);
  try {
    const [key, sha256] = [reader.take(KEY_BYTES), reader.take(32)];
    const size = reader.number(8);
    const isNamed = reader.left >= 1 && reader.left <= MAX_NAME_BYTES;
    const name = new TextDecoder('utf-8', { fatal: true }).decode(reader.rest());
    if (isNamed && size > MAX_TEXT_BYTES && size <= MAX_FILE_BYTES)
      return { key, sha256, size, name };
  } catch (error) {
    if (!(error instanceof Short || error instanceof TypeError)) throw error;
  }
  throw new ContentMalformed('expected the key of a file with its name and size, got other bytes');
}

/** How many chunks a file of that size has. */
export const chunksOf = (size: number): number => Math.ceil(size / CHUNK_BYTES);

const context = (id: Bytes, size: number) => join(CONTEXT, id, big(size, 8));
const nonce = (number: number) => join(new Uint8Array(4), big(number, 8));

/** One chunk; the same key never seals another under the same number. */
export function sealChunk(
  { key, size }: Pick<FileKey, 'key' | 'size'>,
  id: Bytes,
  number: number,
  chunk: Bytes,
): Promise<Bytes> {
  return seal(key, nonce(number), chunk, context(id, size));
}

/** Undo `sealChunk`. @throws ContentMalformed if it is not that chunk of that file. */
export async function openChunk(
  { key, size }: Pick<FileKey, 'key' | 'size'>,
  id: Bytes,
  number: number,
  sealed: Bytes,
): Promise<Bytes> {
  const wanted = Math.min(CHUNK_BYTES, size - number * CHUNK_BYTES);
  try {
    const chunk = await openSealed(key, nonce(number), sealed, context(id, size));
    if (chunk.length === wanted) return chunk;
  } catch (error) {
    if (!(error instanceof NotAuthentic)) throw error;
  }
  throw new ContentMalformed('expected a chunk of this file, got another');
}

/** The text of a message that has a chunk. */
export function chunkText(number: number, sealed: Bytes): Bytes {
  return join(big(number, 4), sealed);
}

/** @throws ContentMalformed */
export function readChunkText(text: Bytes): readonly [number: number, sealed: Bytes] {
  if (text.length < 4) throw new ContentMalformed('expected a chunk, got less');
  const reader = new Reader(text);
  return [reader.number(4), reader.rest()];
}

/** The text of a message that asks for chunks; none: all are here. */
export function askText(ranges: readonly Range[]): Bytes {
  return join(...ranges.map(([first, many]) => join(big(first, 4), big(many, 4))));
}

/**
 * The numbers of the chunks that are asked for, of a file of so many.
 *
 * @throws ContentMalformed
 */
export function readAskText(text: Bytes, chunks: number): number[] {
  if (text.length % 8 || text.length > MAX_RANGES * 8)
    throw new ContentMalformed('expected ranges of chunks, got other bytes');
  const reader = new Reader(text);
  const ranges: Range[] = [];
  while (reader.left > 0) ranges.push([reader.number(4), reader.number(4)]);
  if (ranges.reduce((sum, [, many]) => sum + many, 0) > MAX_ASKED)
    throw new ContentMalformed(`expected at most ${MAX_ASKED} chunks to be asked for, got more`);
  const numbers = ranges.flatMap(([first, many]) =>
    Array.from({ length: many }, (_, at) => first + at),
  );
  if (numbers.some((each) => each >= chunks))
    throw new ContentMalformed('expected chunks of this file, got others to be asked for');
  return numbers;
}

/** As many of these numbers, which grow, as one may ask for at once. */
export function rangesOf(numbers: readonly number[]): readonly Range[] {
  const ranges: [number, number][] = [];
  for (const number of numbers.slice(0, MAX_ASKED)) {
    const last = ranges.at(-1);
    if (last && number === last[0] + last[1]) last[1] += 1;
    else if (ranges.length === MAX_RANGES) break;
    else ranges.push([number, 1]);
  }
  return ranges;
}
