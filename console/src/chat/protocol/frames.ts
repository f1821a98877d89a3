/**
 * What crosses the line to a relay: one binary frame a message, as spec/relay.md has it.
 *
 * Lengths are exact: whatever is longer, shorter or of another kind is no frame.
 */

import { ANSWER_SIZES, OFFER_BYTES } from './accounts';
import { ascii, type Bytes, big, join, Reader, Short } from './bytes';
import { RIGHT_BYTES } from './card';
import { ChatMisuse, RelayMisbehaved } from './errors';
import type { Identity } from './identity';
import { PAYLOAD_SIZES } from './session';
import { sha256 } from './suite';

const VERSION = 1;
const LABEL = ascii('bellwire chat relay 1');
export const MAILBOX_BYTES = 16;
export const TOKEN_BYTES = 16;
/** How long a relay keeps what nobody fetches, at most. */
export const MAX_TTL_S = 30 * 86_400;
const MIN_NOTICE_BYTES = 5388;
const MAX_NOTICE_BYTES = 9500;

/** Why a relay refuses. */
export const REASONS = {
  1: 'not logged in, or the signature does not hold',
  2: 'no such mailbox',
  3: 'the mailbox is full, or there are too many',
  4: 'too fast',
  5: 'the mailbox, or the right, is in use',
  6: 'the relay could not store it; nothing was done',
  7: 'another connection of the account listens',
  8: 'the relay keeps no accounts',
} as const;
export type Reason = keyof typeof REASONS;

/** The relay's first frame; a login signs both. */
export interface Challenge {
  readonly nonce: Bytes;
  readonly relayId: Bytes;
}

export type Answer =
  | ({ readonly is: 'challenge' } & Challenge)
  | { readonly is: 'done'; readonly request: number }
  | { readonly is: 'refused'; readonly request: number; readonly reason: Reason }
  | {
      readonly is: 'deliver';
      readonly mailbox: Bytes;
      /** Counts what was delivered since this line listens. */
      readonly number: number;
      readonly payload: Bytes;
    }
  /** What the relay's accounts answer (`accounts`). */
  | { readonly is: 'accounts'; readonly request: number; readonly body: Bytes }
  /** Where the relay is: a notice that it signed, not looked into. */
  | { readonly is: 'notice'; readonly notice: Bytes };

const op = (byte: number) => Uint8Array.of(byte);

function sized(bytes: Bytes, length: number, what: string): Bytes {
  if (bytes.length !== length)
    throw new ChatMisuse(`expected ${what} of ${length} bytes, got ${bytes.length}`);
  return bytes;
}

/** Say who owns the mailboxes; the identity is one for this relay alone. */
export async function login(
  request: number,
  account: Identity,
  { nonce, relayId }: Challenge,
): Promise<Bytes> {
  const signature = await account.sign(join(nonce, relayId), LABEL);
  return join(op(1), big(request, 4), account.public.bytes, signature);
}

/** Have a mailbox, into which drops whoever has the right; the relay learns its hash alone. */
export async function open(request: number, mailbox: Bytes, right: Bytes): Promise<Bytes> {
  const hash = await sha256(sized(right, RIGHT_BYTES, 'a right'));
  return join(op(2), big(request, 4), sized(mailbox, MAILBOX_BYTES, 'a mailbox'), hash);
}

/** Give a mailbox up, and what is in it. */
export function close(request: number, mailbox: Bytes): Bytes {
  return join(op(3), big(request, 4), sized(mailbox, MAILBOX_BYTES, 'a mailbox'));
}

/** Leave a payload in the mailbox of a right; the token is the same when it is sent again. */
export function drop(
  request: number,
  right: Bytes,
  token: Bytes,
  ttlS: number,
  payload: Bytes,
): Bytes {
  if (!(ttlS >= 1 && ttlS <= MAX_TTL_S))
    throw new ChatMisuse(`expected a time to live of 1 to ${MAX_TTL_S} s, got ${ttlS}`);
  if (!isPayload(payload.length))
    throw new ChatMisuse(`expected a payload, got ${payload.length} bytes`);
  sized(right, RIGHT_BYTES, 'a right');
  const head = join(op(4), big(request, 4), right, sized(token, TOKEN_BYTES, 'a token'));
  return join(head, big(ttlS, 4), payload);
}

/** Deliver what is in the account's mailboxes, now and from now on. */
export function listen(request: number): Bytes {
  return join(op(5), big(request, 4));
}

/** What was delivered under this number is durable here; the relay may forget it. */
export function safe(number: number): Bytes {
  return join(op(6), big(number, 8));
}

/** Hand something to the relay's accounts (`accounts`). */
export function toAccounts(request: number, body: Bytes): Bytes {
  return join(op(7), big(request, 4), body);
}

const isPayload = (length: number) => PAYLOAD_SIZES.some((size) => size === length);

/** @throws RelayMisbehaved if it is no frame of a relay, or of another version. */
export function readAnswer(frame: Bytes): Answer {
  try {
    const reader = new Reader(frame);
    const answer = answerOf(reader.number(1), reader);
    if (answer && reader.left === 0) return answer;
  } catch (error) {
    if (!(error instanceof Short)) throw error;
  }
  throw new RelayMisbehaved(
    `expected a frame of a relay of version ${VERSION}, got ${frame.length} other bytes`,
  );
}

function answerOf(kind: number, reader: Reader): Answer | null {
  switch (kind) {
    case 0x81: {
      if (reader.number(1) !== VERSION) return null;
      return { is: 'challenge', nonce: reader.take(32), relayId: reader.take(32) };
    }
    case 0x82:
      return { is: 'done', request: reader.number(4) };
    case 0x83: {
      const [request, reason] = [reader.number(4), reader.number(1)];
      return reason in REASONS ? { is: 'refused', request, reason: reason as Reason } : null;
    }
    case 0x84: {
      const [mailbox, number] = [reader.take(MAILBOX_BYTES), reader.number(8)];
      if (!isPayload(reader.left) || !Number.isSafeInteger(number)) return null;
      return { is: 'deliver', mailbox, number, payload: reader.rest() };
    }
    case 0x85: {
      const request = reader.number(4);
      const isSized = [OFFER_BYTES, ...ANSWER_SIZES].includes(reader.left);
      return isSized ? { is: 'accounts', request, body: reader.rest() } : null;
    }
    case 0x86: {
      if (reader.left < MIN_NOTICE_BYTES || reader.left > MAX_NOTICE_BYTES) return null;
      return { is: 'notice', notice: reader.rest() };
    }
    default:
      return null;
  }
}
