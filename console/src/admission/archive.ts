/**
 * A folder of keys and certificates in one file, as `bellwire register` keeps it.
 *
 * An archive of tar, since that says who may read a file: nobody but its owner. Source: POSIX.1-2017,
 * pax, "ustar Interchange Format".
 */

import { ascii, type Bytes, join, zeros } from '../chat/protocol/bytes';
import { fromPem, KeyUnusable, KINDS, type OwnKey, type OwnKeys, readKey, toPem } from './keys';

const BLOCK = 512;
/** Far above what we write. */
export const MOST_BYTES = 256 * 1024;

export interface Folder {
  readonly name: string;
  readonly keys: OwnKeys;
}

/** The folder of a name: its keys, and what else there is, by the names of the files. */
export function pack({ name, keys }: Folder, more: Readonly<Record<string, string>> = {}): Bytes {
  const files = [
    ...KINDS.map((kind) => [`${kind}.key`, toPem(keys[kind].pkcs8), 0o600] as const),
    ...Object.entries(more).map(([file, text]) => [file, text, 0o644] as const),
  ];
  const parts = [header(`${name}/`, 0, 0o700, '5')];
  for (const [file, text, mode] of files) {
    const bytes = ascii(text);
    parts.push(header(`${name}/${file}`, bytes.length, mode, '0'), bytes);
    parts.push(zeros((BLOCK - (bytes.length % BLOCK)) % BLOCK));
  }
  return join(...parts, zeros(2 * BLOCK));
}

/**
 * The keys in what `pack` made; certificates are made anew, and left out.
 *
 * @throws KeyUnusable if it is something else, or a key is missing.
 */
export async function unpack(bytes: Bytes): Promise<Folder> {
  const names = new Set<string>();
  const found: Partial<Record<string, OwnKey>> = {};
  for (let at = 0; at + BLOCK <= bytes.length && bytes[at] !== 0; ) {
    const head = bytes.subarray(at, at + BLOCK);
    const size = Number.parseInt(text(head, 124, 12), 8);
    const content = bytes.slice(at + BLOCK, at + BLOCK + size);
    if (text(head, 257, 5) !== 'ustar' || !(size >= 0) || content.length !== size) throw other();
    const [folder = '', file = ''] = text(head, 0, 100).split('/');
    names.add(folder);
    const kind = KINDS.find((each) => file === `${each}.key`);
    if (kind) found[kind] = await readKey(kind, fromPem(new TextDecoder().decode(content)));
    at += BLOCK * (1 + Math.ceil(size / BLOCK));
  }
  const [name] = names;
  if (name === undefined || names.size > 1) throw other();
  const missing = KINDS.find((kind) => found[kind] === undefined);
  if (missing) throw new KeyUnusable(`expected a key ${missing} in the file, got none`);
  return { name, keys: found as OwnKeys };
}

function other(): KeyUnusable {
  return new KeyUnusable('expected a file of keys that was saved here, got another');
}

function text(head: Uint8Array, at: number, length: number): string {
  return new TextDecoder().decode(head.subarray(at, at + length)).split(/[\0 ]/)[0] ?? '';
}

function header(name: string, size: number, mode: number, kind: '0' | '5'): Bytes {
  const head = zeros(BLOCK);
  const write = (at: number, words: string) => head.set(ascii(words), at);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  write(0, name);
  write(100, octal(mode, 7));
  write(108, octal(0, 7));
  write(116, octal(0, 7));
  write(124, octal(size, 11));
  write(136, octal(Math.floor(Date.now() / 1000), 11));
  write(148, ' '.repeat(8));
  write(156, kind);
  write(257, 'ustar\x0000');
  const sum = head.reduce((total, byte) => total + byte, 0);
  write(148, `${sum.toString(8).padStart(6, '0')}\0 `);
  return head;
}
