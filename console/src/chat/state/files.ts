/**
 * Files that come in chunks: what is known of each, and its chunks, which rest as they travel.
 *
 * A record stands in the vault; chunks lie beside it, and how many have come is how many lie there.
 * So what a crash takes is asked for again. Layouts are in spec/chat.md, 8.
 */

import { toHex } from '../../shared/merkle';
import { type Bytes, equal, zeros } from '../protocol/bytes';
import { type Content, Kind, makeContent } from '../protocol/content';
import {
  CHUNK_BYTES,
  chunksOf,
  type FileKey,
  MAX_ASKED,
  openChunk,
  type Range,
  rangesOf,
  readChunkText,
  readFileKey,
  safeName,
} from '../protocol/file';
import { added, again, change, messagesOf, sayAll } from './talk';
import type { Change, Found, Vault } from './vault';

const FILE = 'file';
/** All files of others that are kept, or come. */
const MAX_KEPT_BYTES = 2 ** 30;
/** Of one contact. */
const MAX_KEPT_FILES = 64;
/** Chunks that are read, or written, at once. */
export const BATCH = 64;

/**
 * How far a file has come. `preparing`: of ours, it is being sealed, and not said yet. `coming`: of
 * ours, the other side has not all of it; of theirs, we have not. `whole`: of ours, they have it, and
 * its chunks are gone here; of theirs, it is here, and its hash was checked. `stopped`: it was too
 * much, was called off, or is gone. `kept`: of a note, it is here, and goes to nobody. `removed`:
 * theirs or of a note, not kept any longer.
 */
export type FileState = 'preparing' | 'coming' | 'whole' | 'kept' | 'stopped' | 'removed';

export interface FileRecord {
  /** Fingerprint of with whom, in hexadecimal. */
  readonly peer: string;
  readonly ours: boolean;
  /** Of its message. */
  readonly id: Bytes;
  readonly state: FileState;
  /** Secret. */
  readonly about: FileKey;
  /** Of theirs, chunks that were asked for so far, from the first on. */
  readonly asked: number;
  /** Of ours, chunks that they have, as far as we know. */
  readonly came: number;
  /** Of ours in a group, which group; its chunks lie once, with the file that we keep ourselves. */
  readonly group?: string;
  /** Of a member's copy: with whom its chunks lie, which is us. */
  readonly source?: string;
}

export const fileKey = (peer: string, id: Bytes, ours: boolean) =>
  `${peer} ${ours ? 'ours' : 'theirs'} ${toHex(id)}`;

/** Those of one contact, or all. */
export async function filesOf(vault: Vault, peer?: string): Promise<Found<FileRecord>[]> {
  const all = await vault.list<FileRecord>(FILE);
  return all.filter(({ value }) => peer === undefined || value.peer === peer);
}

export function fileOf(vault: Vault, peer: string, id: Bytes, ours: boolean) {
  return vault.read<FileRecord>(FILE, fileKey(peer, id, ours));
}

/** Know of a file of ours, of which nothing is said yet. */
export async function prepare(vault: Vault, record: FileRecord): Promise<void> {
  await vault.commit([added(FILE, fileKey(record.peer, record.id, record.ours), record)]);
}

/** What changes of a file, together with something else; of one that is gone, nothing. */
export async function changed(
  vault: Vault,
  { peer, id, ours }: Pick<FileRecord, 'peer' | 'id' | 'ours'>,
  how: (now: FileRecord) => Partial<FileRecord>,
): Promise<Change[]> {
  const found = await fileOf(vault, peer, id, ours);
  return found ? [change(FILE, found, { ...found.value, ...how(found.value) })] : [];
}

/** It has come so far, and to its end; its chunks go, unless it is to be kept. */
export async function settle(
  vault: Vault,
  file: FileRecord,
  state: Exclude<FileState, 'preparing' | 'coming'>,
): Promise<void> {
  await again(async () => {
    const changes = await changed(vault, file, () => ({ state }));
    if (changes.length > 0) await vault.commit(changes);
  });
  if (file.ours || state !== 'whole')
    await vault.dropPieces(fileKey(file.peer, file.id, file.ours));
  if (file.source) await settleSource(vault, file.source, file.id);
}

/** A group's file goes once no member lacks it any more; whether it did. */
export async function settleSource(vault: Vault, me: string, id: Bytes): Promise<boolean> {
  const source = (await fileOf(vault, me, id, true))?.value;
  const copies = await copiesOf(vault, me, id);
  if (source?.state !== 'coming' || copies.some(({ state }) => state === 'coming')) return false;
  await settle(vault, source, copies.some(({ state }) => state === 'whole') ? 'whole' : 'stopped');
  return true;
}

/** The members' copies of a file of ours in a group. */
export async function copiesOf(vault: Vault, me: string, id: Bytes): Promise<FileRecord[]> {
  const all = (await filesOf(vault)).map(({ value }) => value);
  return all.filter((each) => each.source === me && equal(each.id, id));
}

/** A file that is said in a group counts as said, and each other member is to have it. */
export async function saidToAll(
  vault: Vault,
  { peer: source, id, group }: FileRecord,
  about: FileKey,
  others: readonly string[],
): Promise<Change[]> {
  const bare = { ours: true, id, state: 'coming', about, asked: 0, came: 0, source } as const;
  const copies = others.map((peer): FileRecord => ({ ...bare, peer, ...(group ? { group } : {}) }));
  return [
    ...(await changed(vault, { peer: source, id, ours: true }, () => ({ about, state: 'coming' }))),
    ...copies.map((each) => added(FILE, fileKey(each.peer, id, true), each)),
  ];
}

/** Somebody gets nothing more of the files of a group. */
export async function stopCopies(vault: Vault, group: string, peer: string): Promise<Change[]> {
  const copies = (await filesOf(vault, peer)).filter(
    ({ value }) => value.group === group && value.state === 'coming',
  );
  return copies.map((each) => change(FILE, each, { ...each.value, state: 'stopped' }));
}

/** Nothing more comes from somebody or goes to them, of any file that is not being prepared. */
export async function stopAll(vault: Vault, peer: string): Promise<Change[]> {
  const under = (await filesOf(vault, peer)).filter(({ value }) => value.state === 'coming');
  return under.map((each) => change(FILE, each, { ...each.value, state: 'stopped' }));
}

/** Nothing is known of it any more. */
export async function forget(vault: Vault, { key, value }: Found<FileRecord>): Promise<void> {
  await again(async () => {
    const found = await fileOf(vault, value.peer, value.id, value.ours);
    if (found) await vault.commit([change(FILE, found, null)]);
  });
  await vault.dropPieces(key);
}

/**
 * What a message changes that brings a file or a chunk of one; a chunk lies here when it returns.
 *
 * @throws ContentMalformed if it is not of that file; nothing has changed.
 */
export async function carried(vault: Vault, peer: string, content: Content): Promise<Change[]> {
  const { kind, id, text, target, group } = content;
  if (kind === Kind.fileKey && !group) return begun(vault, peer, id, text);
  if (kind === Kind.chunk && target) await keepChunk(vault, peer, target, text);
  return [];
}

/** What the message of a file changes that somebody sends; of a group, once it counts. */
export async function begun(vault: Vault, peer: string, id: Bytes, text: Bytes): Promise<Change[]> {
  const read = readFileKey(text);
  if (await fileOf(vault, peer, id, false)) return [];
  const about = { ...read, name: safeName(read.name) };
  const state = (await hasRoom(vault, peer, about.size)) ? 'coming' : 'stopped';
  const file: FileRecord = { peer, ours: false, id, state, about, asked: 0, came: 0 };
  return [added(FILE, fileKey(peer, id, false), file)];
}

async function hasRoom(vault: Vault, peer: string, size: number): Promise<boolean> {
  const kept = (await filesOf(vault))
    .map(({ value }) => value)
    .filter(({ ours, state }) => !ours && (state === 'coming' || state === 'whole'));
  const total = kept.reduce((sum, { about }) => sum + about.size, size);
  const many = kept.filter((each) => each.peer === peer).length;
  return total <= MAX_KEPT_BYTES && many < MAX_KEPT_FILES;
}

async function keepChunk(vault: Vault, peer: string, id: Bytes, text: Bytes): Promise<void> {
  const file = (await fileOf(vault, peer, id, false))?.value;
  if (file?.state !== 'coming') return;
  const [number, sealed] = readChunkText(text);
  await openChunk(file.about, id, number, sealed);
  try {
    await vault.putPieces(fileKey(peer, id, false), [[number, sealed]]);
  } catch (error) {
    if (!(error instanceof DOMException && error.name === 'QuotaExceededError')) throw error;
    await settle(vault, file, 'stopped');
    await sayAll(vault, peer, [aboutFile(Kind.stop, id)], async () => []);
  }
}

/** What is said of a file, whose message is `target`. */
export function aboutFile(kind: Kind, target: Bytes, text: Bytes = zeros(0)): Content {
  const id = crypto.getRandomValues(new Uint8Array(16));
  return makeContent({ kind, id, sentMs: Date.now(), target, text });
}

/** What to ask for of a file of theirs: what was lost, and if nothing was, what is next. */
export async function missing(
  vault: Vault,
  { peer, id, about, asked }: FileRecord,
): Promise<readonly Range[]> {
  const here = new Set(await vault.numbersOfPieces(fileKey(peer, id, false)));
  const upTo = (first: number, end: number) =>
    Array.from({ length: Math.max(0, end - first) }, (_, at) => first + at);
  const lost = upTo(0, asked).filter((number) => !here.has(number));
  const end = Math.min(chunksOf(about.size), asked + MAX_ASKED);
  return rangesOf(lost.length > 0 ? lost : upTo(asked, end).filter((each) => !here.has(each)));
}

/** The whole file, a batch of chunks at a time. */
export async function* opened(vault: Vault, file: FileRecord): AsyncGenerator<Bytes[]> {
  const { peer, id, ours, about } = file;
  for (let first = 0; first < chunksOf(about.size); first += BATCH) {
    const sealed = await vault.pieces(fileKey(peer, id, ours), first, BATCH);
    yield await Promise.all(sealed.map((each, at) => openChunk(about, id, first + at, each)));
  }
}

/** How many bytes of it the receiver has, as far as this side knows. */
export async function bytesDone(vault: Vault, file: FileRecord): Promise<number> {
  const { peer, id, ours, state, about, came, group, source } = file;
  if (state === 'whole' || state === 'kept') return about.size;
  if (group && !source && state !== 'preparing') {
    const copies = await copiesOf(vault, peer, id);
    const some = copies.filter((each) => each.state !== 'stopped');
    const done = await Promise.all(some.map((each) => bytesDone(vault, each)));
    return Math.min(about.size, ...(done.length > 0 ? done : [0]));
  }
  const isHere = state === 'preparing' || (state === 'coming' && !ours);
  const chunks = isHere ? await vault.countPieces(fileKey(peer, id, ours)) : came;
  return Math.min(about.size, chunks * CHUNK_BYTES);
}

/** Those whose message is gone, or was taken back. */
export async function unsaid(vault: Vault, files: readonly Found<FileRecord>[]) {
  const gone: Found<FileRecord>[] = [];
  for (const file of files) {
    const { peer, id } = file.value;
    const message = await vault.read<{ deleted?: boolean }>(messagesOf(peer), toHex(id));
    if (!message || message.value.deleted) gone.push(file);
  }
  return gone;
}
