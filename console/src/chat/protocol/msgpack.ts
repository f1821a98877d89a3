/**
 * MessagePack, as far as accounts at a relay and files of history are said in it: nil, truth, numbers,
 * text, bytes, lists, and maps by text.
 *
 * Source: the specification of MessagePack, "Formats"; spec/accounts.md, 4; spec/history.md, 3.
 */

import { ascii, type Bytes, big, join, Reader, Short } from './bytes';

export type Packed =
  | null
  | boolean
  | number
  | string
  | Bytes
  | readonly Packed[]
  | { readonly [name: string]: Packed };

/** Deeper than anything that accounts say. */
const MAX_DEPTH = 4;

/** What cannot be read. */
export class Unpackable extends Error {
  override name = 'Unpackable';
}

const op = (byte: number): Bytes => Uint8Array.of(byte);

export function packed(value: Packed): Bytes {
  if (value === null) return op(0xc0);
  if (typeof value === 'boolean') return op(value ? 0xc3 : 0xc2);
  if (typeof value === 'number') return packedNumber(value);
  if (typeof value === 'string') {
    const bytes = ascii(value);
    return join(head(bytes.length, [0xa0, 31], [0xd9, 0xda, 0xdb]), bytes);
  }
  if (value instanceof Uint8Array) return join(head(value.length, null, [0xc4, 0xc5, 0xc6]), value);
  if (isList(value))
    return join(head(value.length, [0x90, 15], [null, 0xdc, 0xdd]), ...value.map(packed));
  const all = Object.entries(value);
  const inner = all.flatMap(([name, each]) => [packed(name), packed(each)]);
  return join(head(all.length, [0x80, 15], [null, 0xde, 0xdf]), ...inner);
}

const isList = (value: Packed): value is readonly Packed[] => Array.isArray(value);

/** As few bytes as a whole number takes; any other is a float of 64 bits. */
function packedNumber(value: number): Bytes {
  if (!Number.isSafeInteger(value) || value < 0) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value);
    return join(op(0xcb), bytes);
  }
  if (value >= 0 && value < 128) return op(value);
  const sizes = [1, 2, 4, 8] as const;
  const at = sizes.findIndex((size) => value < 2 ** (8 * size));
  return join(op(0xcc + at), big(value, sizes[at] ?? 8));
}

/** The least head that tells a length. */
function head(
  length: number,
  short: readonly [number, number] | null,
  long: readonly (number | null)[],
): Bytes {
  if (short && length <= short[1]) return op(short[0] + length);
  const sizes = [1, 2, 4] as const;
  const at = sizes.findIndex((size, which) => long[which] && length < 2 ** (8 * size));
  return join(op(long[at] ?? 0), big(length, sizes[at] ?? 4));
}

/** What a reader of values goes by. */
interface Source {
  readonly reader: Reader;
  /** Whether a number over 2^53 is taken for one that is near it. */
  readonly isRounding: boolean;
}

/**
 * Undo `packed`.
 *
 * @param depth How many lists and maps may be in each other.
 * @param isRounding Whether a number over 2^53 is taken for one that is near it, and not refused.
 * @throws Unpackable if it is none of these, or more follows.
 */
export function unpacked(bytes: Bytes, depth = MAX_DEPTH, isRounding = false): Packed {
  const reader = new Reader(bytes);
  try {
    const value = read({ reader, isRounding }, depth);
    if (reader.left === 0) return value;
  } catch (error) {
    // Cut, or no UTF-8.
    if (!(error instanceof Short || error instanceof TypeError)) throw error;
  }
  throw new Unpackable('expected one whole value of MessagePack, got other bytes');
}

function read(source: Source, depth: number): Packed {
  const { reader } = source;
  const kind = reader.number(1);
  if (kind < 0x80) return kind;
  if (kind < 0x90) return map(source, kind & 15, depth);
  if (kind < 0xa0) return list(source, kind & 15, depth);
  if (kind < 0xc0) return text(reader, kind & 31);
  switch (kind) {
    case 0xc0:
      return null;
    case 0xc2:
    case 0xc3:
      return kind === 0xc3;
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return reader.take(number(source, kind - 0xc4));
    case 0xcb:
      return new DataView(reader.take(8).buffer).getFloat64(0);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
      return number(source, kind - 0xcc);
    case 0xd9:
    case 0xda:
    case 0xdb:
      return text(reader, number(source, kind - 0xd9));
    case 0xdc:
    case 0xdd:
      return list(source, number(source, kind - 0xdb), depth);
    case 0xde:
    case 0xdf:
      return map(source, number(source, kind - 0xdd), depth);
    default:
      throw new Unpackable(`expected a value of those that are said, got the kind ${kind}`);
  }
}

function number({ reader, isRounding }: Source, at: number): number {
  const found = reader.number(([1, 2, 4, 8] as const)[at] ?? 8);
  if (!(isRounding || Number.isSafeInteger(found)))
    throw new Unpackable('expected a number below 2^53');
  return found;
}

function text(reader: Reader, length: number): string {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return decoder.decode(reader.take(length));
}

/** Each value has a byte at least, so that nothing is made room for that did not come. */
function checkRoom(reader: Reader, values: number, depth: number): void {
  if (depth === 0 || values > reader.left)
    throw new Unpackable('expected as many values as are there, got more, or too deep');
}

function list(source: Source, length: number, depth: number): Packed[] {
  checkRoom(source.reader, length, depth);
  return Array.from({ length }, () => read(source, depth - 1));
}

function map(source: Source, length: number, depth: number): Packed {
  checkRoom(source.reader, 2 * length, depth);
  const found = new Map<string, Packed>();
  for (let at = 0; at < length; at += 1) {
    const name = read(source, 0);
    if (typeof name !== 'string' || found.has(name))
      throw new Unpackable('expected names of fields, each once, got something else');
    found.set(name, read(source, depth - 1));
  }
  return Object.fromEntries(found);
}
