/** Names of people at a relay: one way to write each. Source: spec/accounts.md, 1. */

import { ChatMisuse } from './errors';

const HANDLE = /^[a-z][a-z0-9_-]{2,31}$/;
const PREFIX = /^[a-z][a-z0-9_-]{1,31}$/;

/** A handle, or the beginning of one, that is not in its one form. */
export class HandleMalformed extends ChatMisuse {
  override name = 'HandleMalformed';
}

/** The handle that somebody means: ASCII capitals and one leading `@` are forgiven. @throws HandleMalformed */
export function handleOf(typed: string): string {
  return read(HANDLE, typed, 3);
}

/** The same for the beginning of a handle. @throws HandleMalformed */
export function prefixOf(typed: string): string {
  return read(PREFIX, typed, 2);
}

/** Whether it is a handle as it is kept and sent. */
export const isHandle = (text: string): boolean => HANDLE.test(text);

/** Without one leading `@`, and ASCII capitals small: other letters have small ones of ASCII, too. */
const forgiven = (typed: string) =>
  typed.replace(/^@/, '').replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/** The handle that somebody means; null if it is none. */
export const handleIn = (typed: string): string | null =>
  isHandle(forgiven(typed)) ? forgiven(typed) : null;

function read(form: RegExp, typed: string, least: number): string {
  const bare = forgiven(typed);
  if (form.test(bare)) return bare;
  throw new HandleMalformed(
    `expected ${least} to 32 characters of a-z, 0-9, - and _, a letter first, got others`,
  );
}
