/** A file that is whole in its message: how its name and bytes stand in it (spec/chat.md, 8.1). */

import { ascii, type Bytes, join } from './bytes';
import { MAX_TEXT_BYTES } from './content';
import { ChatMisuse } from './errors';

const MAX_NAME_BYTES = 255;

/** @throws ChatMisuse if it is too large. */
export function smallFile(name: string, bytes: Bytes): Bytes {
  if (bytes.length > MAX_TEXT_BYTES)
    throw new ChatMisuse(`expected a file of at most ${MAX_TEXT_BYTES} bytes, got ${bytes.length}`);
  let short = [...name];
  while (ascii(short.join('')).length > MAX_NAME_BYTES) short = short.slice(0, -1);
  const called = ascii(short.join('') || 'attachment');
  return join(Uint8Array.of(called.length), called, bytes);
}
