/**
 * Of each conversation, what waits to be sealed: one message at a time, in their order, under the pad
 * that its mode and policy ask for.
 *
 * In `fresh` mode each message has a session of its own. One that is aborted sends nothing, whatever
 * the policy: the message stays, both sides are told, and it is tried again at growing distances
 * until a session succeeds; so it goes by itself once Eve has left. Where there is merely no key, the
 * policy decides: `require` keeps the message, `prefer` sends it without pad. `off` asks for neither.
 */

import { fromHex, toHex } from '../../shared/merkle';
import type { Bytes } from '../protocol/bytes';
import { type Content, Kind, split } from '../protocol/content';
import { PadExhausted } from '../protocol/errors';
import { OVERHEAD_BYTES, POINT_BYTES } from '../protocol/pads';
import type { Contact } from '../state/contacts';
import { offerPad, recordKept } from '../state/offers';
import {
  type FreshPad,
  firstUnsent,
  keepAborted,
  keepUnsent,
  type SessionNow,
  type SessionRecord,
  say,
} from '../state/talk';
import type { Change, Vault } from '../state/vault';
import { type KeySource, KeysAbsent, KeysGone } from './keys';

/** After how long what found no pad is tried again; the last of them from then on. */
const AGAIN_MS = [500, 1000, 2000, 4000, 8000];
/** Point, tag and a letter: less is no pad. */
const LEAST_PAD = 33;

/** Why what waits does not go: its session was aborted, keys may not flow, or there is no pad. */
export type Halt = 'aborted' | 'red' | 'no pad';

/** What becomes of what waits for one person. */
export interface Standing {
  /** Id of the message whose session is under way, in hexadecimal. */
  readonly making: string | null;
  readonly halt: Halt | null;
  /** What is known of that session so far; null before its first step. */
  readonly session: SessionNow | null;
  /** Of which part of the message it is, from 1, and of how many. */
  readonly part: number;
  readonly parts: number;
}

interface SendingParts {
  readonly vault: Vault;
  readonly keys: KeySource | null;
  contact(peer: string): Contact | undefined;
  /** What becomes of a message is not as it was, and nothing else. */
  stood(peer: string): void;
  /** Something of a conversation is not as it was. */
  changed(peer: string): Promise<void>;
  /** Something is to go to the relay. */
  sealed(): void;
  /** Say something of ours to somebody that nobody is shown. */
  tell(peer: string, kind: Kind, text: Bytes): Promise<void>;
  /** Work that nobody waits for. */
  later(work: () => Promise<void>): void;
}

interface Line {
  standing: Standing;
  /** By what its session under way is known. */
  mark: string | null;
  isWorking: boolean;
  /** Whether it is to be tried at once. */
  isDue: boolean;
  /** Whether the other side was told that sessions are aborted. */
  isWarned: boolean;
  tries: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

const NOTHING: Standing = { making: null, halt: null, session: null, part: 1, parts: 1 };
const bytesOf = (uuid: string): Bytes => fromHex(uuid.replaceAll('-', ''));

export class Sending {
  private readonly lines = new Map<string, Line>();
  private isClosed = false;

  constructor(private readonly parts: SendingParts) {}

  close(): void {
    this.isClosed = true;
    for (const { timer } of this.lines.values()) clearTimeout(timer);
  }

  standing(peer: string): Standing {
    return this.lines.get(peer)?.standing ?? NOTHING;
  }

  /** A session under way is a piece further. */
  unfolds(mark: string, session: SessionNow): void {
    for (const [peer, line] of this.lines)
      if (line.mark === mark) {
        line.standing = { ...line.standing, session };
        this.parts.stood(peer);
      }
  }

  /** Keep a message of ours, and send it when it can go. */
  async keep(peer: string, content: Content): Promise<void> {
    await keepUnsent(this.parts.vault, peer, content);
    await this.parts.changed(peer);
    this.go(peer);
  }

  /** Nothing waits for this person any more; what is under way ends by itself. */
  drop(peer: string): void {
    clearTimeout(this.lines.get(peer)?.timer);
    this.lines.delete(peer);
  }

  /** Something waits for this person, or should be tried again now. */
  go(peer: string): void {
    const line = this.line(peer);
    clearTimeout(line.timer);
    line.isDue = true;
    if (line.isWorking || this.isClosed) return;
    line.isWorking = true;
    this.parts.later(async () => {
      try {
        await this.work(peer, line);
      } finally {
        line.isWorking = false;
      }
    });
  }

  private line(peer: string): Line {
    const found = this.lines.get(peer);
    if (found) return found;
    const flags = { isWorking: false, isDue: false, isWarned: false };
    const line: Line = { standing: NOTHING, mark: null, ...flags, tries: 0, timer: undefined };
    this.lines.set(peer, line);
    return line;
  }

  private async work(peer: string, line: Line): Promise<void> {
    while (!this.isClosed) {
      line.isDue = false;
      const next = await firstUnsent(this.parts.vault, peer);
      // What was kept while that was read is not in it.
      if (!next && !line.isDue) break;
      if (!next) continue;
      const halt = await this.one(peer, line, next.content);
      line.mark = null;
      line.standing = { ...NOTHING, halt };
      await this.parts.changed(peer);
      if (halt === null) {
        line.tries = 0;
        line.isWarned = false;
        this.parts.sealed();
      } else if (!line.isDue) {
        const wait = AGAIN_MS[Math.min(line.tries, AGAIN_MS.length - 1)];
        line.tries += 1;
        line.timer = setTimeout(() => this.go(peer), wait);
        return;
      }
    }
  }

  /** Seal one message; why that cannot be now. */
  private async one(peer: string, line: Line, content: Content): Promise<Halt | null> {
    const { vault, keys } = this.parts;
    const contact = this.parts.contact(peer);
    if (!contact) return 'no pad'; // nobody knows yet what they ask for
    if (contact.policy === 'off') {
      await say(vault, peer, content, 'off');
      return null;
    }
    const sae = contact.card?.sae;
    if (keys && sae && contact.mode === 'fresh') {
      line.standing = { ...line.standing, making: toHex(content.id), session: null };
      await this.parts.changed(peer);
      const ended = await this.bySession(keys, sae, peer, line, content);
      if (ended === 'sealed') return null;
      if (ended === 'red') return ended;
      if (ended !== 'no key') {
        await this.aborted(peer, line, content, ended);
        return 'aborted';
      }
    }
    if (await this.fromStock(peer, sae, content)) return null;
    if (contact.policy === 'require') return 'no pad';
    await say(vault, peer, content, 'prefer');
    return null;
  }

  // By sessions

  /** Seal a message, each part under the pad of a session; the record of one that was aborted. */
  private async bySession(
    keys: KeySource,
    sae: string,
    peer: string,
    line: Line,
    content: Content,
  ): Promise<'sealed' | 'red' | 'no key' | SessionRecord> {
    const pads: FreshPad[] = [];
    const records: Change[] = [];
    try {
      for (const { text, part, parts } of split(content)) {
        line.standing = { ...line.standing, session: null, part: part + 1, parts };
        this.parts.stood(peer);
        const length = POINT_BYTES + OVERHEAD_BYTES + text.length;
        line.mark = crypto.randomUUID();
        const { session, pad, record } = await keys.make(sae, length, line.mark);
        if (pad === null) return record ?? 'no key';
        const padId = bytesOf(session);
        pads.push({ padId, source: record?.source ?? 'vendor', pad });
        if (record) records.push(recordKept(peer, padId, record));
      }
      await say(this.parts.vault, peer, content, 'require', records, pads);
      return 'sealed';
    } catch (error) {
      if (error instanceof KeysGone) return 'no key';
      if (!(error instanceof KeysAbsent)) throw error;
      return (await isRed(keys)) ? 'red' : 'no key';
    } finally {
      for (const { pad } of pads) pad.fill(0);
    }
  }

  private async aborted(
    peer: string,
    line: Line,
    { id }: Content,
    record: SessionRecord,
  ): Promise<void> {
    await keepAborted(this.parts.vault, peer, id, record);
    if (line.isWarned) return;
    line.isWarned = true;
    await this.parts.tell(peer, Kind.aborted, bytesOf(record.session));
  }

  // From stock

  /** Seal it under pad, of which more is drawn where there is too little; false if there is none. */
  private async fromStock(
    peer: string,
    sae: string | undefined,
    content: Content,
  ): Promise<boolean> {
    for (let tries = split(content).length + 1; tries > 0; tries -= 1) {
      try {
        await say(this.parts.vault, peer, content, 'require');
        return true;
      } catch (error) {
        if (!(error instanceof PadExhausted)) throw error;
        if (!(await this.fill(peer, sae, error.needed + POINT_BYTES))) return false;
      }
    }
    return false;
  }

  /** Draw pad for what we say, and tell the other side of what keys it is. */
  private async fill(peer: string, sae: string | undefined, least: number): Promise<boolean> {
    const { vault, keys } = this.parts;
    if (!keys || !sae) return false;
    try {
      await offerPad(vault, peer, await keys.draw(sae, Math.max(least, LEAST_PAD)));
      return true;
    } catch (error) {
      if (error instanceof KeysGone || error instanceof KeysAbsent) return false;
      throw error;
    }
  }
}

/** Whether keys may not flow; who cannot say so lets the policy decide. */
async function isRed(keys: KeySource): Promise<boolean> {
  try {
    return await keys.isRed();
  } catch (error) {
    if (error instanceof KeysGone || error instanceof KeysAbsent) return false;
    throw error;
  }
}
