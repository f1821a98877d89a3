/**
 * A stream of records in a file, sealed piece by piece, whose end is authenticated.
 *
 * Pieces are of one size, numbered, and the last one says that it is the last, so that what is cut,
 * repeated, moved or altered does not open. The beginning has a value of the code alone, by which
 * another file's code is told from damage. Source: spec/history.md, 2.
 */

import { ascii, type Bytes, big, equal, join, zeros } from './bytes';
import { HistoryRefused, NotAuthentic } from './errors';
import { HISTORY } from './historyCode';
import { GCM_TAG_BYTES, hkdf, openSealed, seal } from './suite';

const MAGIC = ascii('bwhs');
const VERSION = 1;
const ID_BYTES = 16;
const CHECK_BYTES = 16;
const HEADER_BYTES = 4 + 1 + ID_BYTES + CHECK_BYTES;
const PIECE_BYTES = 65_536;
export const MAX_RECORD_BYTES = 262_144;

async function keysOf(code: Bytes, id: Bytes): Promise<{ check: Bytes; key: Bytes }> {
  const drawn = await hkdf(id, code, HISTORY, CHECK_BYTES + 32);
  return { check: drawn.slice(0, CHECK_BYTES), key: drawn.slice(CHECK_BYTES) };
}

const nonceOf = (number: number, isLast: boolean): Bytes =>
  join(zeros(3), big(number, 8), Uint8Array.of(isLast ? 1 : 0));

/** Writes records; the file is what `finish` returns. */
export class SealedWriter {
  private readonly pieces: Bytes[] = [];
  private waiting: Bytes = zeros(0);

  private constructor(
    private readonly header: Bytes,
    private readonly key: Bytes,
  ) {}

  /** @param code 16 bytes, of this file alone. */
  static async begin(
    code: Bytes,
    id: Bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES)),
  ): Promise<SealedWriter> {
    const { check, key } = await keysOf(code, id);
    return new SealedWriter(join(MAGIC, Uint8Array.of(VERSION), id, check), key);
  }

  async add(record: Bytes): Promise<void> {
    if (record.length > MAX_RECORD_BYTES)
      throw new RangeError(`expected a record of at most ${MAX_RECORD_BYTES} bytes`);
    this.waiting = join(this.waiting, big(record.length, 4), record);
    while (this.waiting.length > PIECE_BYTES) {
      // The last piece is never an empty one.
      await this.seal(this.waiting.slice(0, PIECE_BYTES), false);
      this.waiting = this.waiting.slice(PIECE_BYTES);
    }
  }

  async finish(): Promise<Blob> {
    await this.seal(this.waiting, true);
    return new Blob([this.header, ...this.pieces]);
  }

  private async seal(piece: Bytes, isLast: boolean): Promise<void> {
    const nonce = nonceOf(this.pieces.length, isLast);
    this.pieces.push(await seal(this.key, nonce, piece, this.header));
  }
}

async function bytesOf(file: Blob, from: number, length: number): Promise<Bytes> {
  return new Uint8Array(await file.slice(from, from + length).arrayBuffer());
}

/**
 * The records of a file, in order; what was given counts only once all of it was.
 *
 * @param code 16 bytes.
 * @throws HistoryRefused if it is none, of another version, cut, altered, or the code is another's.
 */
export async function* readSealed(file: Blob, code: Bytes): AsyncGenerator<Bytes> {
  const header = await bytesOf(file, 0, HEADER_BYTES);
  if (header.length < HEADER_BYTES || !equal(header.slice(0, MAGIC.length), MAGIC))
    throw new HistoryRefused('expected a file of history, got another, or less than one');
  if (header[MAGIC.length] !== VERSION)
    throw new HistoryRefused(
      `expected a history of version ${VERSION}, got version ${header[MAGIC.length]}`,
    );
  const id = header.slice(MAGIC.length + 1, -CHECK_BYTES);
  const { check, key } = await keysOf(code, id);
  if (!equal(check, header.slice(-CHECK_BYTES)))
    throw new HistoryRefused('expected the code of this file, got the code of another one');
  let waiting: Bytes = zeros(0);
  const step = PIECE_BYTES + GCM_TAG_BYTES;
  for (let number = 0, from = HEADER_BYTES, isLast = false; !isLast; number += 1, from += step) {
    isLast = from + step >= file.size;
    const sealed = await bytesOf(file, from, step);
    waiting = join(waiting, await opened(key, nonceOf(number, isLast), sealed, header));
    let at = 0;
    for (;;) {
      const length = lengthAt(waiting, at);
      if (length === null || at + 4 + length > waiting.length) break;
      yield waiting.slice(at + 4, at + 4 + length);
      at += 4 + length;
    }
    waiting = waiting.slice(at);
  }
  if (waiting.length > 0)
    throw new HistoryRefused('expected whole records up to the end, got a part of one');
}

async function opened(key: Bytes, nonce: Bytes, sealed: Bytes, header: Bytes): Promise<Bytes> {
  try {
    return await openSealed(key, nonce, sealed, header);
  } catch (error) {
    if (!(error instanceof NotAuthentic)) throw error;
    throw new HistoryRefused('expected the whole file as it was, got one that was cut or changed');
  }
}

/** Of the record that begins there; null while that is not told. */
function lengthAt(bytes: Bytes, at: number): number | null {
  if (bytes.length < at + 4) return null;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
  if (length > MAX_RECORD_BYTES)
    throw new HistoryRefused(`expected records of at most ${MAX_RECORD_BYTES} bytes`);
  return length;
}
