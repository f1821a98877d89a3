/** What a page shows of a chat. */

import { Kind } from '../protocol/content';
import type { Contact } from '../state/contacts';
import type { Renewed } from '../state/renewing';
import type { MessageRecord, SessionRecord } from '../state/talk';
import type { OwnHandle } from './account';
import type { FileShown } from './files';
import type { GroupTalk } from './groups';
import type { NotesTalk } from './notes';
import type { Strange } from './requests';
import type { Standing } from './sending';

export type Connection = 'connecting' | 'up' | 'down';

/** Why something that waits does not go. */
export type Trouble = 'no relay' | 'other relay' | 'no card' | 'refused' | 'full';

/** A session of theirs gave no pad, so that they could not send. */
export interface Warning {
  readonly atMs: number;
  /** What our own node measured; null if it does not say. */
  readonly record: SessionRecord | null;
}

/** One conversation as a page shows it. */
export interface Conversation {
  /** Fingerprint, in hexadecimal. */
  readonly peer: string;
  readonly contact: Contact;
  /** Oldest first; edits and deletions are done. */
  readonly messages: readonly MessageRecord[];
  readonly unread: number;
  readonly trouble: Trouble | null;
  /** Bytes of pad that are left for us to send under. */
  readonly padLeft: number;
  /** What sessions measured, by the id of their pad. */
  readonly records: ReadonlyMap<string, SessionRecord>;
  readonly warning: Warning | null;
  /** What becomes of what waits for its pad. */
  readonly standing: Standing;
  readonly isTyping: boolean;
  /** Heard from in the last minute. */
  readonly isHere: boolean;
  /** Of a new session: we asked for it, or it is there by our wish or theirs. */
  readonly renewal: 'asked' | Renewed | null;
  /**
   * Whether there is a session with them; else they are known from another device alone, or were
   * blocked.
   */
  readonly isMet: boolean;
  /** Whether we do not hear them. */
  readonly isBlocked: boolean;
  /** Those that come in chunks, by `placeOf` their messages. */
  readonly files: ReadonlyMap<string, FileShown>;
}

/** Everything that a page shows; another value whenever something has changed. */
export interface View {
  readonly connection: Connection;
  /** The latest first. */
  readonly conversations: readonly Conversation[];
  /** The latest first. */
  readonly groups: readonly GroupTalk[];
  readonly notes: NotesTalk;
  /** Those whom we do not know: who waits to be accepted, and who is not heard. */
  readonly strange: Strange;
  /** Our name at the relay; null: none. */
  readonly handle: OwnHandle | null;
  /** What came and could not be shown. */
  readonly unshown: number;
  /** Whether the relay is another one than it was at first: nothing is told to it. */
  readonly isOtherRelay: boolean;
}

/** Kinds that are shown as messages. */
export const SHOWN: ReadonlySet<Kind> = new Set([Kind.text, Kind.reply, Kind.file, Kind.fileKey]);

export const isUnread = ({ ours, state }: MessageRecord): boolean => !ours && state !== 'seen';
