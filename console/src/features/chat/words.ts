/** What messages say, in words. */

import { ApiError } from '../../api/client';
import { Kind } from '../../chat/protocol/content';
import {
  ChatMisuse,
  ChatRefused,
  RelayRefused,
  RelayUnreachable,
} from '../../chat/protocol/errors';
import { REASONS, type Reason } from '../../chat/protocol/frames';
import type { MessageRecord } from '../../chat/state/talk';
import { count } from '../../shared/format';
import { texts } from '../../shared/texts';
import { chat as say } from '../../texts/chat';

const KEY_AND_HASH = 64;
const SIZE = 8;

/** A file that is whole in its message. */
export interface NamedFile {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The last part of a name, without what steers a screen. */
function safeName(bytes: Uint8Array): string {
  const name = new TextDecoder().decode(bytes).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '');
  return name.split(/[/\\]/).at(-1) || '?';
}

/** The file of a message of kind 6 (spec/chat.md, 8.1). */
export function fileOf({ content: { text } }: MessageRecord): NamedFile {
  const end = 1 + (text[0] ?? 0);
  return { name: safeName(text.slice(1, end)), bytes: text.slice(end) };
}

function largeFile(text: Uint8Array<ArrayBuffer>): string {
  const size = new DataView(text.buffer, text.byteOffset).getBigUint64(KEY_AND_HASH);
  return say.largeFile(safeName(text.slice(KEY_AND_HASH + SIZE)), count(Number(size)));
}

/** What a message says. */
export function wordsOf(message: MessageRecord): string {
  const { kind, text } = message.content;
  if (kind === Kind.file) {
    const { name, bytes } = fileOf(message);
    return say.file(name, count(bytes.length));
  }
  if (kind === Kind.fileKey)
    return text.length >= KEY_AND_HASH + SIZE ? largeFile(text) : say.largeFile('?', '?');
  return new TextDecoder().decode(text);
}

/** Where the pads came from that all of a message was under; null if some of it had none. */
export function padSource({ protections }: MessageRecord): string | null {
  const sources = protections.map((each) => each.padSource);
  return sources.every((each) => each !== null) ? [...new Set(sources)].join(', ') || null : null;
}

/** How many bytes of pad a message was under. */
export function padBytes({ protections }: MessageRecord): number {
  return protections.reduce((sum, each) => sum + each.padBytes, 0);
}

/** Why something did not go. */
export function reason(error: unknown): string {
  if (error instanceof RelayRefused) return REASONS[error.reason as Reason] ?? error.message;
  const kinds = [ChatRefused, ChatMisuse, RelayUnreachable, ApiError];
  if (kinds.some((kind) => error instanceof kind)) return (error as Error).message;
  return texts.trouble.crashed;
}
