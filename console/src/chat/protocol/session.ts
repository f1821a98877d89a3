/**
 * A session between two people's devices: contents to payloads of three sizes, and back.
 *
 * Sans-I/O, and states are values: `sealMessage` and `openMessage` return the next state beside what
 * they made, and what throws has changed nothing. A state is durable before its payload leaves.
 * Layouts are in spec/chat.md, 3 to 5.
 */

import { encodeBody, look, mostText, readBody } from './body';
import { ascii, type Bytes, big, join, Reader, zeros } from './bytes';
import { type Content, isPadded, Kind } from './content';
import { type Draws, fresh } from './draws';
import { ChatMisuse, NotAuthentic, PadExhausted, PayloadMalformed } from './errors';
import { IDENTITY_BYTES, SIGNATURE_BYTES } from './identity';
import { CIPHERTEXT_BYTES, PUBLIC_BYTES } from './kem';
import { MIX_BYTES, OVERHEAD_BYTES, type Pads, type Policy, type Slice } from './pads';
import {
  isNewStep,
  keyOf,
  mayStep,
  mixedPad,
  nextKey,
  type Place,
  type Ratchet,
  STEP_BYTES,
  step,
} from './ratchet';
import { GCM_TAG_BYTES, hkdf, NONCE_BYTES, openSealed, seal } from './suite';

/** All that a relay sees of a message's length. */
export const PAYLOAD_SIZES = [512, 4096, 16_384] as const;
export const OPENING_BYTES =
  2 * 16 + 2 * CIPHERTEXT_BYTES + IDENTITY_BYTES + PUBLIC_BYTES + SIGNATURE_BYTES + GCM_TAG_BYTES;
export const KIND_OPENING = 1;
const KIND_PLAIN = 2;
const KIND_STEP = 3;

/** Messages, of either side, after which also a receipt steps; what says something always does. */
export const STEP_EVERY = 50;
/** Steps of which one mixes pad in. */
export const MIX_EVERY = 16;

/** How long the step in a header is, by the kind of the payload. */
const STEPS: Readonly<Record<number, number>> = { [KIND_PLAIN]: 0, [KIND_STEP]: STEP_BYTES };
const PLACE_BYTES = 16;
const NONE = zeros(0);
const MESSAGE = ascii('bellwire chat message');

/** One side's state of a session. Secret. */
export interface Session {
  /** 16 bytes, known to both sides alone. */
  readonly id: Bytes;
  /** Fingerprints of the two identities. */
  readonly own: Bytes;
  readonly peer: Bytes;
  /** What the opening that began it is known by. */
  readonly openingId: Bytes;
  /** What our messages carry until the peer has been heard; else empty. */
  readonly opening: Bytes;
  /** Keys of the headers of our messages, and of the peer's. */
  readonly headerOut: Bytes;
  readonly headerIn: Bytes;
  /** Where the keys of messages come from. */
  readonly ratchet: Ratchet;
  /** Steps of ours since one mixed pad in. */
  readonly unmixed: number;
  /** Messages of both sides since our last step. */
  readonly unstepped: number;
}

/** What a message was protected by, beside AES-256-GCM under X25519 and ML-KEM-768 keys. */
export interface Protection {
  /** Where the pad that its text was under came from; null: no pad. */
  readonly padSource: string | null;
  /** How much of it the text and its tag took. */
  readonly padBytes: number;
  /** Which pad it was. */
  readonly padId: Bytes | null;
  /** Where the pad came from that this message's step mixed in; null: none. */
  readonly mixedSource: string | null;
  /** What the relay carried; of a message that is older than this, nothing. */
  readonly crossed?: Crossed;
}

/** A payload as it crossed the relay. */
export interface Crossed {
  /** Its length. */
  readonly bytes: number;
  /** Where what was said begins, as ciphertext. */
  readonly start: Bytes;
}

const SHOWN_BYTES = 72;

function protectionOf(part: Slice | null, mix: Slice | null, payload: Bytes): Protection {
  const { end } = layout(payload);
  return {
    padSource: part?.source ?? null,
    padBytes: part?.key.length ?? 0,
    padId: part?.padId ?? null,
    mixedSource: mix?.source ?? null,
    crossed: { bytes: payload.length, start: payload.slice(end, end + SHOWN_BYTES) },
  };
}

/** A message to send, once `session` is durable. */
export interface Sealed {
  readonly session: Session;
  readonly payload: Bytes;
  readonly protection: Protection;
}

/** An authentic message. `spent` is pad to erase, durable together with `session`. */
export interface Opened {
  readonly session: Session;
  readonly content: Content;
  readonly protection: Protection;
  readonly spent: readonly Slice[];
}

const withStep = (state: Session): Session => ({ ...state, unstepped: state.unstepped + 1 });

/**
 * Seal one content, or one part of a long one.
 *
 * @param pads The conversation's; null if there are none.
 * @param policy Of pad. Contents that pad is not for go without in any case.
 * @throws ChatMisuse if the text is too long; PadExhausted if the policy is `require`, and no pad
 * is long enough.
 */
export async function sealMessage(
  before: Session,
  content: Content,
  pads: Pads | null,
  policy: Policy,
  draws: Draws = fresh,
): Promise<Sealed> {
  const { length } = content.text;
  if (length > mostText(content))
    throw new ChatMisuse(`expected at most ${mostText(content)} bytes of text, got ${length}`);
  if (content.kind === Kind.chunk && before.opening.length)
    throw new ChatMisuse('expected a session on which the peer was heard, got one that begins');
  const source = policy === 'off' ? null : pads;
  const { session, mix } = await stepped(before, content, source, draws);
  let part: Slice | null = null;
  if (isPadded(content.kind)) {
    part = (await source?.spend(length + OVERHEAD_BYTES, false)) ?? null;
    if (!part && policy === 'require') throw new PadExhausted(length + OVERHEAD_BYTES);
  }
  const { state, place, key } = await nextKey(session.ratchet);
  const body = encodeBody(session.id, place, content, part);
  const payload = await assemble(session, place, state.step, key, body, draws);
  const after = withStep({ ...session, ratchet: state });
  return { session: after, payload, protection: protectionOf(part, mix, payload) };
}

/**
 * Open a message of the peer's.
 *
 * @throws MessageRefused, one of its kinds; nothing has changed.
 */
export async function openMessage(
  session: Session,
  payload: Bytes,
  pads: Pads | null,
): Promise<Opened> {
  const { nonce, prefix, header: sealed, end } = layout(payload);
  const header = await openSealed(session.headerIn, nonce, sealed, join(session.id, prefix));
  const reader = new Reader(header);
  const [epoch, number, previous, seen] = Array.from({ length: 4 }, () => reader.number(4));
  if (epoch === undefined || number === undefined || previous === undefined || seen === undefined)
    throw new PayloadMalformed('expected the header of a message, got less');
  const place = { epoch, number, previous, seen: seen - 1 };
  const part = reader.rest();
  const named = part.length && isNewStep(session.ratchet, place) ? mixedPad(part) : null;
  const mix = named && (await look(pads, named.padId, named.offset, MIX_BYTES));
  const { state, key } = await keyOf(session.ratchet, place, part, mix);
  const messageKey = await hkdf(NONE, key, MESSAGE, 32);
  const ad = join(session.id, payload.slice(0, end));
  const body = await openSealed(messageKey, zeros(NONCE_BYTES), payload.slice(end), ad);
  const { content, used } = await readBody(session.id, place, body, pads);
  return {
    session: withStep({ ...session, ratchet: state, opening: NONE }),
    content,
    protection: protectionOf(used, mix, payload),
    spent: [mix, used].filter((each) => each !== null),
  };
}

/**
 * The session whose peer sealed the header of a payload.
 *
 * @throws PayloadMalformed if it has not the form of a message; NotAuthentic if it is of none of
 * these sessions.
 */
export async function sessionOf<S extends Pick<Session, 'id' | 'headerIn'>>(
  payload: Bytes,
  sessions: readonly S[],
): Promise<S> {
  const { nonce, prefix, header } = layout(payload);
  for (const session of sessions) {
    try {
      await openSealed(session.headerIn, nonce, header, join(session.id, prefix));
      return session;
    } catch (error) {
      if (!(error instanceof NotAuthentic)) throw error;
    }
  }
  throw new NotAuthentic('expected a message of one of our sessions, got another');
}

/** The session after the step that is due before this content, and the pad mixed into it. */
async function stepped(
  session: Session,
  content: Content,
  pads: Pads | null,
  draws: Draws,
): Promise<{ session: Session; mix: Slice | null }> {
  const state = session.ratchet;
  const due = isPadded(content.kind) || session.unstepped >= STEP_EVERY || !state.sending;
  if (!(due && mayStep(state))) return { session, mix: null };
  const wanted = pads !== null && session.unmixed + 1 >= MIX_EVERY;
  const mix = wanted ? await pads.spend(MIX_BYTES, true) : null;
  const unmixed = mix ? 0 : Math.min(session.unmixed + 1, MIX_EVERY);
  const ratchet = await step(state, mix, draws);
  return { session: { ...session, ratchet, unmixed, unstepped: 0 }, mix };
}

/** The payload, of the least size that holds it. */
async function assemble(
  session: Session,
  place: Place,
  part: Bytes,
  key: Bytes,
  body: Bytes,
  draws: Draws,
): Promise<Bytes> {
  const kind = Uint8Array.of(part.length ? KIND_STEP : KIND_PLAIN);
  const { opening } = session;
  const prefix = opening.length ? join(Uint8Array.of(KIND_OPENING), opening, kind) : kind;
  const { epoch, number, previous, seen } = place;
  const numbers = [epoch, number, previous, seen + 1].map((each) => big(each, 4));
  const header = join(...numbers, part);
  const fixed = prefix.length + NONCE_BYTES + header.length + 2 * GCM_TAG_BYTES;
  const size = PAYLOAD_SIZES.find((each) => fixed + body.length <= each);
  if (size === undefined) throw new ChatMisuse('expected what fits a payload, got more');
  const nonce = draws.bytes(NONCE_BYTES);
  const sealed = await seal(session.headerOut, nonce, header, join(session.id, prefix));
  const before = join(prefix, nonce, sealed);
  const messageKey = await hkdf(NONE, key, MESSAGE, 32);
  const filled = join(body, zeros(size - fixed - body.length));
  const ad = join(session.id, before);
  return join(before, await seal(messageKey, zeros(NONCE_BYTES), filled, ad));
}

/** Nonce and sealed header of a payload, what stands before them, and where the header ends. */
function layout(payload: Bytes): { nonce: Bytes; prefix: Bytes; header: Bytes; end: number } {
  if (!PAYLOAD_SIZES.some((size) => size === payload.length))
    throw new PayloadMalformed(
      `expected a payload of ${PAYLOAD_SIZES.join(', ')} bytes, got ${payload.length}`,
    );
  const at = payload[0] === KIND_OPENING ? 1 + OPENING_BYTES : 0;
  const bytes = STEPS[payload[at] ?? 0];
  const nonceEnd = at + 1 + NONCE_BYTES;
  if (bytes === undefined || payload.length < nonceEnd + bytes + 2 * GCM_TAG_BYTES)
    throw new PayloadMalformed('expected a message of this version, got another');
  const end = nonceEnd + PLACE_BYTES + bytes + GCM_TAG_BYTES;
  return {
    nonce: payload.slice(at + 1, nonceEnd),
    prefix: payload.slice(0, at + 1),
    header: payload.slice(nonceEnd, end),
    end,
  };
}
