/**
 * Files that come in chunks: sealed into the vault when they are sent, given as the other side asks,
 * asked for until they are here, and opened for whoever saves them.
 *
 * Memory has a batch of chunks at a time, whatever the file's size.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../../shared/merkle';
import { type Bytes, equal, zeros } from '../protocol/bytes';
import { type Content, Kind } from '../protocol/content';
import { ChatMisuse } from '../protocol/errors';
import {
  askText,
  CHUNK_BYTES,
  chunksOf,
  chunkText,
  encodeFileKey,
  type FileKey,
  MAX_ASKED,
  MAX_FILE_BYTES,
  type Range,
  readAskText,
  sealChunk,
} from '../protocol/file';
import {
  aboutFile,
  BATCH,
  bytesDone,
  changed,
  copiesOf,
  type FileRecord,
  type FileState,
  fileKey,
  fileOf,
  filesOf,
  forget,
  missing,
  opened,
  prepare,
  saidToAll,
  settle,
  settleSource,
  unsaid,
} from '../state/files';
import { again, begins, type MessageRecord, messagesOf, sayAll, waiting } from '../state/talk';
import type { Change, Vault } from '../state/vault';

/** More is asked for when so many chunks, or fewer, are on their way; and so many. */
const ASK_NEXT = 32;
/** With so many payloads for somebody waiting here, questions for more are not answered. */
const MAX_WAITING = 2 * MAX_ASKED;
/** Chunks after which a change is shown. */
const SHOWN_EVERY = 16;
/** Chunks are asked for again when none has come for so long. */
const ASK_AGAIN_MS = 30_000;

const UNDER_WAY: ReadonlySet<FileState> = new Set(['preparing', 'coming']);

/** One file as a page shows it. */
export interface FileShown {
  readonly id: Bytes;
  readonly ours: boolean;
  readonly name: string;
  readonly size: number;
  readonly state: FileState;
  /** Bytes that the receiver has, and in a group all of them; of one in preparation, that are sealed. */
  readonly done: number;
  /** Of ours in a group, which, in hexadecimal. */
  readonly group: string | null;
}

interface FilesParts {
  readonly vault: Vault;
  /** Keep the message of a file, and send it when it can go. */
  keep(peer: string, id: Bytes, text: Bytes): Promise<void>;
  /** Something is to go to the relay. */
  sealed(): void;
  /** Files of a conversation are not as they were. */
  changed(peer: string): Promise<void>;
  /** Work that nobody waits for. */
  later(work: () => Promise<void>): void;
}

interface Seen {
  readonly came: number;
  readonly sinceMs: number;
}

export class Files {
  /** Those that are being prepared here and now, by their place. */
  private readonly preparing = new Map<string, AbortController>();
  /** How many chunks of each had come, and since when. */
  private readonly seen = new Map<string, Seen>();
  private readonly checking = new Set<string>();

  constructor(private readonly parts: FilesParts) {}

  /** What was not prepared to its end, when the page was closed, goes. */
  async open(): Promise<void> {
    const { vault } = this.parts;
    const begun = (await filesOf(vault)).filter(({ value }) => value.state === 'preparing');
    const gone = new Set(await unsaid(vault, begun));
    for (const each of begun)
      if (gone.has(each)) await forget(vault, each);
      else await settleSaid(vault, each.value);
  }

  close(): void {
    for (const controller of this.preparing.values()) controller.abort();
  }

  /** Those of a conversation, by their place. */
  async shown(peer: string): Promise<ReadonlyMap<string, FileShown>> {
    const { vault } = this.parts;
    const all = await filesOf(vault, peer);
    const shown = all.map(async ({ value }): Promise<[string, FileShown]> => {
      const { id, ours, state, about, group = null } = value;
      const { name, size } = about;
      const done = await bytesDone(vault, value);
      return [placeOf(id, ours), { id, ours, name, size, state, done, group }];
    });
    return new Map(await Promise.all(shown));
  }

  /**
   * Send a file; it may be gone or changed once this returns.
   *
   * @throws ChatMisuse if it is too large, cannot be read, or there is no room for it here.
   */
  async attach(peer: string, name: string, file: Blob): Promise<void> {
    const { vault } = this.parts;
    const id = crypto.getRandomValues(new Uint8Array(16));
    await this.prepared({ peer, id }, name, file, async (record, made) => {
      await again(async () => {
        await vault.commit(await changed(vault, record, () => ({ about: made })));
      });
      await this.parts.keep(peer, id, encodeFileKey(made));
      await settleSaid(vault, record);
    });
  }

  /**
   * Send a file to all of a group, sealed once.
   *
   * @param me Our fingerprint, under which it is kept here.
   * @param id Of its message.
   * @param keep Keeps that message, and in the same commit what the others are to have.
   * @throws ChatMisuse as `attach` does, and what `keep` throws.
   */
  attachToAll(
    me: string,
    group: string,
    id: Bytes,
    name: string,
    file: Blob,
    keep: (text: Bytes, also: (others: readonly string[]) => Promise<Change[]>) => Promise<void>,
  ): Promise<void> {
    const { vault } = this.parts;
    return this.prepared({ peer: me, id, group }, name, file, (record, made) =>
      keep(encodeFileKey(made), (others) => saidToAll(vault, record, made, others)),
    );
  }

  /**
   * Keep a file of a note, which goes to nobody.
   *
   * @param me Our fingerprint, under which it is kept here.
   * @param keep Keeps the note, and in the same commit that the file is there.
   * @throws ChatMisuse as `attach` does, and what `keep` throws.
   */
  attachToNotes(
    me: string,
    name: string,
    file: Blob,
    keep: (id: Bytes, text: Bytes, besides: () => Promise<Change[]>) => Promise<void>,
  ): Promise<void> {
    const { vault } = this.parts;
    const id = crypto.getRandomValues(new Uint8Array(16));
    return this.prepared({ peer: me, id }, name, file, (record, about) =>
      keep(id, encodeFileKey(about), () =>
        changed(vault, record, () => ({ about, state: 'kept' })),
      ),
    );
  }

  /** Seal a file of ours into the vault, then have it said; where that fails, nothing is left. */
  private async prepared(
    of: Pick<FileRecord, 'peer' | 'id' | 'group'>,
    name: string,
    file: Blob,
    said: (record: FileRecord, made: FileKey) => Promise<void>,
  ): Promise<void> {
    const { vault } = this.parts;
    const { peer, id } = of;
    if (file.size > MAX_FILE_BYTES)
      throw new ChatMisuse(`expected a file of at most ${MAX_FILE_BYTES} bytes, got ${file.size}`);
    const key = crypto.getRandomValues(new Uint8Array(32));
    const about = { key, sha256: zeros(32), size: file.size, name };
    const record = { ...of, ours: true, state: 'preparing', about, asked: 0, came: 0 } as const;
    const place = fileKey(peer, id, true);
    const controller = new AbortController();
    this.preparing.set(place, controller);
    try {
      await prepare(vault, record);
      await this.parts.changed(peer);
      const hash = await this.seal(record, file, controller.signal);
      if (controller.signal.aborted) return;
      this.preparing.delete(place); // from here on it is called off as one that goes
      await said(record, { ...about, sha256: hash });
    } catch (error) {
      controller.abort();
      if (error instanceof DOMException) throw unusable(error);
      throw error;
    } finally {
      this.preparing.delete(place);
      const found = controller.signal.aborted ? await fileOf(vault, peer, id, true) : null;
      if (found) await forget(vault, found);
      await this.parts.changed(peer);
    }
  }

  /** Do what a message says of a file, once it stands in the vault. */
  async came(peer: string, content: Content): Promise<void> {
    const { kind, id, target } = content;
    if (kind === Kind.fileKey) await this.begin(peer, id);
    if (!target) return;
    if (kind === Kind.chunk) await this.cameChunk(peer, target);
    if (kind === Kind.ask) await this.give(peer, target, content.text);
    if (kind === Kind.stop) await this.stopped(peer, target);
  }

  /** Call off a file that comes, or goes; the other side is told. */
  async cancel(peer: string, id: Bytes, ours: boolean): Promise<void> {
    const { vault } = this.parts;
    const controller = this.preparing.get(fileKey(peer, id, ours));
    if (controller) {
      controller.abort();
      return;
    }
    const found = await fileOf(vault, peer, id, ours);
    if (!found || !UNDER_WAY.has(found.value.state)) return;
    if (found.value.group && !found.value.source) await this.cancelCopies(peer, id);
    else await this.say(peer, Kind.stop, id);
    await settle(vault, found.value, 'stopped');
    await this.parts.changed(peer);
  }

  private async cancelCopies(me: string, id: Bytes): Promise<void> {
    const { vault } = this.parts;
    for (const copy of await copiesOf(vault, me, id)) {
      if (copy.state !== 'coming') continue;
      await again(async () => {
        await vault.commit(await changed(vault, copy, () => ({ state: 'stopped' })));
      });
      // Who has not heard of it asks for it once they have, and is told then.
      if (copy.came > 0 || (await isSaid(vault, copy))) await this.say(copy.peer, Kind.stop, id);
    }
  }

  /** Somebody is blocked: what is being prepared for them, and what lies here of files that were stopped, goes. */
  async drop(peer: string): Promise<void> {
    const { vault } = this.parts;
    for (const [place, controller] of this.preparing)
      if (place.startsWith(`${peer} `)) controller.abort();
    for (const { value } of await filesOf(vault, peer)) {
      if (value.state !== 'stopped') continue;
      await settle(vault, value, 'stopped');
      await this.copyChanged(value);
    }
  }

  /** Keep a file of theirs, or of a note, no longer. */
  async remove(peer: string, id: Bytes, ours: boolean): Promise<void> {
    const found = await fileOf(this.parts.vault, peer, id, ours);
    if (found) await settle(this.parts.vault, found.value, 'removed');
    await this.parts.changed(peer);
  }

  /**
   * A file of theirs, or of a note, that is here, opened. The browser has it where it likes, not in our memory.
   *
   * @throws ChatMisuse if it is not here.
   */
  async blob(peer: string, id: Bytes, ours: boolean): Promise<Blob> {
    const found = await fileOf(this.parts.vault, peer, id, ours);
    if (found?.value.state !== (ours ? 'kept' : 'whole'))
      throw new ChatMisuse('expected a file that is here');
    const batches: Blob[] = [];
    for await (const batch of opened(this.parts.vault, found.value)) batches.push(new Blob(batch));
    const whole = new Blob(batches);
    if (whole.size !== found.value.about.size) throw new ChatMisuse('expected a file that is here');
    return whole;
  }

  /** Ask once more for what has not come for a while; what was taken back goes. */
  async mind(): Promise<void> {
    const { vault } = this.parts;
    const all = await filesOf(vault);
    const settled = all.filter(({ value }) => value.state !== 'preparing');
    for (const each of await unsaid(vault, settled)) {
      await forget(vault, each);
      await this.parts.changed(each.value.peer);
    }
    for (const { value } of all)
      if (value.group && !value.source && (await settleSource(vault, value.peer, value.id)))
        await this.parts.changed(value.peer);
    for (const { key, value } of all)
      if (!value.ours && value.state === 'coming') await this.askAgain(key, value);
  }

  private async askAgain(place: string, file: FileRecord): Promise<void> {
    const came = await this.parts.vault.countPieces(place);
    const seen = this.seen.get(place);
    const now = Date.now();
    if (came === chunksOf(file.about.size)) this.parts.later(() => this.check(file));
    else if (seen?.came !== came) this.seen.set(place, { came, sinceMs: now });
    else if (now - seen.sinceMs >= ASK_AGAIN_MS) {
      this.seen.set(place, { came, sinceMs: now });
      await this.ask(file, await missing(this.parts.vault, file));
    }
  }

  /** Seal all of a file of ours into the vault; its hash. */
  private async seal(record: FileRecord, file: Blob, signal: AbortSignal): Promise<Bytes> {
    const { about, id, peer } = record;
    const hash = sha256.create();
    for (let first = 0; first < chunksOf(about.size) && !signal.aborted; first += BATCH) {
      const from = first * CHUNK_BYTES;
      const read = new Uint8Array(await file.slice(from, from + BATCH * CHUNK_BYTES).arrayBuffer());
      hash.update(read);
      const sealed = Array.from({ length: chunksOf(read.length) }, async (_, at) => {
        const chunk = read.slice(at * CHUNK_BYTES, (at + 1) * CHUNK_BYTES);
        return [first + at, await sealChunk(about, id, first + at, chunk)] as const;
      });
      await this.parts.vault.putPieces(fileKey(peer, id, true), await Promise.all(sealed));
      await this.parts.changed(peer);
    }
    return new Uint8Array(hash.digest());
  }

  // Of theirs

  private async begin(peer: string, id: Bytes): Promise<void> {
    const file = (await fileOf(this.parts.vault, peer, id, false))?.value;
    if (file?.state === 'coming' && file.asked === 0)
      await this.ask(file, [[0, Math.min(MAX_ASKED, chunksOf(file.about.size))]]);
    if (file?.state === 'stopped') await this.say(peer, Kind.stop, id);
    await this.parts.changed(peer);
  }

  private async cameChunk(peer: string, id: Bytes): Promise<void> {
    const { vault } = this.parts;
    const file = (await fileOf(vault, peer, id, false))?.value;
    if (file?.state !== 'coming') return;
    const came = await vault.countPieces(fileKey(peer, id, false));
    const chunks = chunksOf(file.about.size);
    if (came === chunks) this.parts.later(() => this.check(file));
    else if (file.asked < chunks && file.asked - came <= ASK_NEXT)
      await this.ask(file, [[file.asked, Math.min(ASK_NEXT, chunks - file.asked)]]);
    if (came % SHOWN_EVERY === 0) await this.parts.changed(peer);
  }

  /** All is here: it counts if it is what its sender hashed. */
  private async check(file: FileRecord): Promise<void> {
    const { vault } = this.parts;
    const { peer, id, about } = file;
    const place = fileKey(peer, id, false);
    if (this.checking.has(place)) return;
    this.checking.add(place);
    try {
      const hash = sha256.create();
      for await (const batch of opened(vault, file)) for (const chunk of batch) hash.update(chunk);
      const isRight = equal(hash.digest(), about.sha256);
      if (isRight) await this.say(peer, Kind.ask, id);
      else await this.say(peer, Kind.stop, id);
      await settle(vault, file, isRight ? 'whole' : 'stopped');
    } finally {
      this.checking.delete(place);
      await this.parts.changed(peer);
    }
  }

  private async ask(file: FileRecord, ranges: readonly Range[]): Promise<void> {
    const { peer, id } = file;
    const end = Math.max(...ranges.map(([first, many]) => first + many));
    const asked = (now: FileRecord) => ({ asked: Math.max(now.asked, end) });
    const content = aboutFile(Kind.ask, id, askText(ranges));
    const { vault } = this.parts;
    await sayAll(vault, peer, [content], () => changed(vault, file, asked));
    this.parts.sealed();
  }

  // Of ours

  private async give(peer: string, id: Bytes, text: Bytes): Promise<void> {
    const { vault } = this.parts;
    const file = (await fileOf(vault, peer, id, true))?.value;
    if (!file || file.state === 'stopped') {
      await this.say(peer, Kind.stop, id);
      return;
    }
    if (file.state === 'whole') return;
    const numbers = readAskText(text, chunksOf(file.about.size));
    if (numbers.length === 0) await settle(vault, file, 'whole');
    else if (await this.isFree(peer)) await this.giveChunks(file, numbers);
    await this.copyChanged(file);
  }

  private async copyChanged({ peer, source }: FileRecord): Promise<void> {
    await this.parts.changed(peer);
    if (source) await this.parts.changed(source);
  }

  private async isFree(peer: string): Promise<boolean> {
    // Beside the opening of a session there is no room for a chunk: it is asked for again.
    if (await begins(this.parts.vault, peer)) return false;
    const all = await waiting(this.parts.vault);
    return all.filter(({ value }) => value.peer === peer).length <= MAX_WAITING;
  }

  private async giveChunks(file: FileRecord, numbers: readonly number[]): Promise<void> {
    const { vault } = this.parts;
    const { peer, id, source } = file;
    const contents: Content[] = [];
    for (const number of numbers) {
      const [sealed] = await vault.pieces(fileKey(source ?? peer, id, true), number, 1);
      if (sealed) contents.push(aboutFile(Kind.chunk, id, chunkText(number, sealed)));
    }
    // What is asked for next says that all but a window is there.
    const came = Math.max(...numbers) + 1 - MAX_ASKED;
    const on = (now: FileRecord) => ({ came: Math.max(now.came, came) });
    await sayAll(vault, peer, contents, () => changed(vault, file, on));
    this.parts.sealed();
  }

  private async stopped(peer: string, id: Bytes): Promise<void> {
    for (const ours of [true, false]) {
      const found = await fileOf(this.parts.vault, peer, id, ours);
      if (found?.value.state !== 'coming') continue;
      await settle(this.parts.vault, found.value, 'stopped');
      await this.copyChanged(found.value);
    }
  }

  private async say(peer: string, kind: Kind, id: Bytes): Promise<void> {
    await sayAll(this.parts.vault, peer, [aboutFile(kind, id)], async () => []);
    this.parts.sealed();
  }
}

/** By what a page finds the file of a message. */
export const placeOf = (id: Bytes, ours: boolean) => `${ours ? 'ours' : 'theirs'} ${toHex(id)}`;

/** Its message is kept: from now on it is given to who asks. */
async function settleSaid(vault: Vault, record: FileRecord): Promise<void> {
  await again(async () => {
    const said = (now: FileRecord) =>
      now.state === 'preparing' ? { state: 'coming' as const } : {};
    await vault.commit(await changed(vault, record, said));
  });
}

/** Whether the message of a member's copy has left this side. */
async function isSaid(vault: Vault, { peer, id }: FileRecord): Promise<boolean> {
  const found = await vault.read<MessageRecord>(messagesOf(peer), toHex(id));
  return found !== null && found.value.state !== 'unsent';
}

function unusable({ name }: DOMException): ChatMisuse {
  if (name === 'QuotaExceededError')
    return new ChatMisuse('this browser has no room for the file; nothing was sent');
  return new ChatMisuse('the file cannot be read, or has changed meanwhile; nothing was sent');
}
