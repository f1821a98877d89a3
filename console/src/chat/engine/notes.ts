/** Notes to ourselves, as a chat has them: nothing of them leaves this browser. */

import { ascii, type Bytes } from '../protocol/bytes';
import { type Content, Kind, MAX_TEXT_BYTES, makeContent } from '../protocol/content';
import { smallFile } from '../protocol/file';
import { note, notesOf, setTimerOfNotes, timerOfNotes } from '../state/notes';
import { disappear, isOver, type MessageRecord } from '../state/talk';
import type { Vault } from '../state/vault';
import type { FileShown, Files } from './files';
import { SHOWN } from './view';

/** Notes as a page shows them. */
export interface NotesTalk {
  /** Oldest first; edits and deletions are done. */
  readonly messages: readonly MessageRecord[];
  /** Seconds after which what is written disappears; 0: it stays. */
  readonly timerS: number;
  /** Those that are larger than a message, by `placeOf` their notes. */
  readonly files: ReadonlyMap<string, FileShown>;
}

export const NO_NOTES: NotesTalk = { messages: [], timerS: 0, files: new Map() };

interface NotesParts {
  readonly vault: Vault;
  /** Our fingerprint, in hexadecimal, under which they are kept. */
  readonly me: string;
  readonly files: Files;
  show(notes: NotesTalk): void;
}

export class Notes {
  private shown = NO_NOTES;
  private saidMs = 0;
  private looks = 0;
  private looked = 0;
  readonly me: string;

  constructor(private readonly parts: NotesParts) {
    this.me = parts.me;
  }

  /** Write one. @throws ChatMisuse if it is too long. */
  async say(words: string): Promise<void> {
    await this.put(Kind.text, ascii(words));
  }

  /** Answer a note, or change or delete it; `target` is its id. */
  async sayOf(
    kind: typeof Kind.reply | typeof Kind.edit | typeof Kind.delete,
    target: Bytes,
    words = '',
  ): Promise<void> {
    await this.put(kind, ascii(words), { target });
  }

  /**
   * Keep a file: whole in its note, and a large one in chunks of its own.
   *
   * @throws ChatMisuse if it is too large, or cannot be read.
   */
  async attach(name: string, file: Blob): Promise<void> {
    if (file.size <= MAX_TEXT_BYTES) {
      await this.put(Kind.file, smallFile(name, new Uint8Array(await file.arrayBuffer())));
      return;
    }
    const { vault, me, files } = this.parts;
    await files.attachToNotes(me, name, file, (id, text, besides) =>
      note(vault, me, this.content(Kind.fileKey, text, { id }), besides),
    );
    await this.look();
  }

  /** Let what is written from now on disappear after so many seconds; 0: it stays. */
  async setTimer(timerS: number): Promise<void> {
    await setTimerOfNotes(this.parts.vault, timerS);
    await this.look();
  }

  private async put(
    kind: Kind,
    text: Bytes,
    rest: Pick<Partial<Content>, 'target'> = {},
  ): Promise<void> {
    await note(this.parts.vault, this.me, this.content(kind, text, rest));
    await this.look();
  }

  private content(kind: Kind, text: Bytes, rest: Pick<Partial<Content>, 'id' | 'target'>): Content {
    // Later ones are later, however fast somebody types.
    this.saidMs = Math.max(Date.now(), this.saidMs + 1);
    const { timerS } = this.shown;
    const id = crypto.getRandomValues(new Uint8Array(16));
    const timer = timerS && kind !== Kind.delete ? { timerS } : {};
    return makeContent({ kind, id, sentMs: this.saidMs, text, ...timer, ...rest });
  }

  /** Show them as they are now. */
  async look(): Promise<void> {
    const { vault, me, files } = this.parts;
    this.looks += 1;
    const number = this.looks;
    const all = await notesOf(vault, me);
    const ofNotes = [...(await files.shown(me))].filter(([, { group }]) => group === null);
    const timerS = await timerOfNotes(vault);
    if (this.looked > number) return; // a later look was faster
    this.looked = number;
    const shown = all.filter(({ content }) => SHOWN.has(content.kind));
    this.shown = { messages: shown, timerS, files: new Map(ofNotes) };
    this.parts.show(this.shown);
  }

  /** What disappears does so when its time has come. */
  async sweep(): Promise<void> {
    const { vault, me } = this.parts;
    const over = this.shown.messages.filter((each) => isOver(each));
    for (const { content } of over) await disappear(vault, me, content.id);
    if (over.length > 0) await this.look();
  }
}
