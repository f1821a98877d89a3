/**
 * The code of a file of history: 128 random bits, drawn for that file alone and shown once.
 *
 * It is spelt as 32 letters of RFC 4648's base32, in groups of four: 16 secret bytes, and 4 that tell
 * a slip of the hand. Source: spec/history.md, 1.
 */

import { ascii, type Bytes, equal, join } from './bytes';
import { CodeMalformed } from './errors';
import { sha256 } from './suite';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** What the code is for. */
export const HISTORY = ascii('bellwire chat history 1');
const SECRET_BYTES = 16;
const CHECK_BYTES = 4;
const LETTERS = 32;
const GROUP = 4;
const MAX_TYPED = 200;
/** The alphabet has not these, and people take them for those. */
const LOOKALIKES: Readonly<Record<string, string>> = { 0: 'O', 1: 'I', 8: 'B' };

export const drawCode = (): Bytes => crypto.getRandomValues(new Uint8Array(SECRET_BYTES));

async function checkOf(secret: Bytes): Promise<Bytes> {
  return (await sha256(HISTORY, ascii('check'), secret)).slice(0, CHECK_BYTES);
}

/** As it is shown. Secret. */
export async function spellCode(secret: Bytes): Promise<string> {
  const bits = [...join(secret, await checkOf(secret))]
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('');
  const letters = bits.match(/.{5}/g)?.map((five) => ALPHABET[Number.parseInt(five, 2)]) ?? [];
  return letters.join('').match(/.{4}/g)?.join('-') ?? '';
}

/**
 * The code that somebody typed; case, spaces and hyphens do not count.
 *
 * @throws CodeMalformed if it is none, or has a slip; what was typed is not repeated.
 */
export async function readCode(typed: string): Promise<Bytes> {
  const letters = typed
    .slice(0, MAX_TYPED)
    .replaceAll(/[\s-]/g, '')
    .toUpperCase()
    .replaceAll(/[018]/g, (each) => LOOKALIKES[each] ?? each);
  if (typed.length > MAX_TYPED || letters.length !== LETTERS)
    throw new CodeMalformed(`expected a code of ${LETTERS} letters, in groups of ${GROUP}`);
  if (!/^[A-Z2-7]*$/.test(letters))
    throw new CodeMalformed('expected a code of letters A to Z and digits 2 to 7');
  const bits = [...letters].map((each) => ALPHABET.indexOf(each).toString(2).padStart(5, '0'));
  const bytes = bits.join('').match(/.{8}/g) ?? [];
  const whole = Uint8Array.from(bytes, (eight) => Number.parseInt(eight, 2));
  const secret = whole.slice(0, SECRET_BYTES);
  if (!equal(whole.slice(SECRET_BYTES), await checkOf(secret)))
    throw new CodeMalformed('expected a code as it was shown, got one with a slip');
  return secret;
}
