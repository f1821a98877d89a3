/**
 * MessagePack, as far as accounts at a relay are said in it: nil, truth, whole numbers, text, bytes,
 * lists, and maps by text.
 *
 * Source: the specification of MessagePack, "Formats"; spec/accounts.md, 4.
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

/** Deeper than anything that is said. */
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

function packedNumber(value: number): Bytes {
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

/** @throws Unpackable if it is none of these, or more follows. */
export function unpacked(bytes: Bytes): Packed {
  const reader = new Reader(bytes);
  try {
    const value = read(reader, MAX_DEPTH);
    if (reader.left === 0) return value;
  } catch (error) {
    // Cut, or no UTF-8.
    if (!(error instanceof Short || error instanceof TypeError)) throw error;
  }
  throw new Unpackable('expected one whole value of MessagePack, got other bytes');
}

function read(reader: Reader, depth: number): Packed {
  const kind = reader.number(1);
  if (kind < 0x80) return kind;
  if (kind < 0x90) return map(reader, kind & 15, depth);
  if (kind < 0xa0) return list(reader, kind & 15, depth);
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
      return reader.take(number(reader, kind - 0xc4));
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
      return number(reader, kind - 0xcc);
    case 0xd9:
    case 0xda:
    case 0xdb:
      return text(reader, number(reader, kind - 0xd9));
    case 0xdc:
    case 0xdd:
      return list(reader, number(reader, kind - 0xdb), depth);
    case 0xde:
    case 0xdf:
      return map(reader, number(reader, kind - 0xdd), depth);
    default:
      throw new Unpackable(`expected a value that accounts say, got the kind ${kind}`);
  }
}

function number(reader: Reader, at: number): number {
  const found = reader.number(([1, 2, 4, 8] as const)[at] ?? 8);
  if (!Number.isSafeInteger(found)) throw new Unpackable('expected a number below 2^53');
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

function list(reader: Reader, length: number, depth: number): Packed[] {
  checkRoom(reader, length, depth);
  return Array.from({ length }, () => read(reader, depth - 1));
}

function map(reader: Reader, length: number, depth: number): Packed {
  checkRoom(reader, 2 * length, depth);
  const found = new Map<string, Packed>();
  for (let at = 0; at < length; at += 1) {
    const name = read(reader, 0);
    if (typeof name !== 'string' || found.has(name))
      throw new Unpackable('expected names of fields, each once, got something else');
    found.set(name, read(reader, depth - 1));
  }
  return Object.fromEntries(found);
}
