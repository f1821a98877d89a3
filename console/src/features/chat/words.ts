/** What messages say, in words. */

import { ApiError } from '../../api/client';
import { InvitationMalformed, PasswordsDiffer, PasswordUnfit } from '../../chat/engine/account';
import type { Bytes } from '../../chat/protocol/bytes';
import { Kind } from '../../chat/protocol/content';
import {
  AccountRefused,
  ChatMisuse,
  ChatRefused,
  ContentMalformed,
  IdentityChanged,
  RelayMisbehaved,
  RelayRefused,
  RelayUnreachable,
} from '../../chat/protocol/errors';
import { readFileKey, readSmallFile, safeName } from '../../chat/protocol/file';
import { REASONS, type Reason } from '../../chat/protocol/frames';
import { HandleMalformed } from '../../chat/protocol/handles';
import type { MessageRecord } from '../../chat/state/talk';
import { count } from '../../shared/format';
import { texts } from '../../shared/texts';
import { files as say } from '../../texts/files';
import { handle } from '../../texts/handle';
import { people } from '../../texts/people';

function largeFile(text: Bytes): string {
  try {
    const { name, size } = readFileKey(text);
    return say.file(safeName(name), count(size));
  } catch (error) {
    if (error instanceof ContentMalformed) return say.unread;
    throw error;
  }
}

/** What a message says. */
export function wordsOf(message: MessageRecord): string {
  const { kind, text } = message.content;
  const size = message.brought?.size ?? null;
  if (size !== null) return say.file(safeName(new TextDecoder().decode(text)), count(size));
  if (kind === Kind.file && !message.brought) {
    const { name, bytes } = readSmallFile(text);
    return say.file(name, count(bytes.length));
  }
  if (kind === Kind.fileKey && !message.brought) return largeFile(text);
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
  if (error instanceof AccountRefused) return people.reasons[error.reason] ?? error.message;
  if (error instanceof HandleMalformed) return people.malformed;
  if (error instanceof PasswordUnfit) return handle.unfit;
  if (error instanceof PasswordsDiffer) return handle.differs;
  if (error instanceof InvitationMalformed) return handle.invitationMalformed;
  if (error instanceof IdentityChanged) return people.changed(error.handle);
  if (error instanceof RelayMisbehaved) return people.noRelay;
  if (error instanceof RelayRefused) return REASONS[error.reason as Reason] ?? error.message;
  const kinds = [ChatRefused, ChatMisuse, RelayUnreachable, ApiError];
  if (kinds.some((kind) => error instanceof kind)) return (error as Error).message;
  return texts.trouble.crashed;
}
