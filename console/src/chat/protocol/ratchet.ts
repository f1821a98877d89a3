/**
 * How the keys of a session move on: each message its own, each turn of the talk a fresh secret.
 *
 * States are values: a function returns the next one, and what throws has changed nothing.
 *
 * Source: Perrin and Marlinspike, "The Double Ratchet Algorithm", 2016 (chains, steps, skipped
 * keys), with an X-Wing encapsulation in place of each Diffie-Hellman; spec/chat.md, 3.
 */

import { ascii, type Bytes, big, isZero, join, Reader, zeros } from './bytes';
import type { Draws } from './draws';
import {
  ChatMisuse,
  EpochUnknown,
  KemRefused,
  NotAuthentic,
  Replayed,
  TooManySkipped,
} from './errors';
import { CIPHERTEXT_BYTES, decapsulate, PUBLIC_BYTES, publicOf, SEED_BYTES } from './kem';
import { MIX_BYTES, NO_PAD, PAD_ID_BYTES, type Slice } from './pads';
import { hkdf } from './suite';

/** Messages that one message may find missing before it. */
export const MAX_SKIP = 1000;
/** Keys of missing messages that are kept; the oldest go first. */
export const MAX_SKIPPED = 2000;
/** Keys of messages still missing after so many epochs are forgotten. */
export const MAX_EPOCHS_BEHIND = 64;

export const STEP_BYTES = CIPHERTEXT_BYTES + PUBLIC_BYTES + PAD_ID_BYTES + 8;
const NONE = zeros(0);
const CHAIN = ascii('bellwire chat chain');
const STEP = ascii('bellwire chat step');

/** The messages of one epoch: the key that the next one's comes from, and its number. */
export interface Chain {
  readonly epoch: number;
  readonly key: Bytes;
  readonly number: number;
}

/** Where a message stands, as its header says. */
export interface Place {
  /** Of the sender. */
  readonly epoch: number;
  readonly number: number;
  /** How many messages the sender's epoch before had. */
  readonly previous: number;
  /** The newest epoch of the receiver that the sender has a message of; -1: none. */
  readonly seen: number;
}

/** One side's state. Secret. */
export interface Ratchet {
  /** What the next step starts from. */
  readonly root: Bytes;
  /** Of the X-Wing key that the peer's next step encapsulates to. */
  readonly seed: Bytes;
  /** The X-Wing key that our next step encapsulates to; empty: none yet. */
  readonly peerPublic: Bytes;
  /** Our newest epoch; null before a responder's first. */
  readonly sending: Chain | null;
  /** How many messages our epoch before had. */
  readonly previous: number;
  /** What began our epoch, while the peer may not know it; else empty. */
  readonly step: Bytes;
  /** The peer's newest epoch; null before an initiator has heard anything. */
  readonly receiving: Chain | null;
  /** Keys of messages that may still come, oldest first. */
  readonly skipped: readonly Chain[];
}

export const sentEpoch = (state: Ratchet) => state.sending?.epoch ?? -1;
export const seenEpoch = (state: Ratchet) => state.receiving?.epoch ?? -1;

/** Whether the peer has offered a key since our last step. */
export const mayStep = (state: Ratchet) => seenEpoch(state) > sentEpoch(state);

const begun = { peerPublic: NONE, previous: 0, step: NONE, skipped: [] };
const first = (key: Bytes): Chain => ({ epoch: 0, key, number: 0 });

/** The state of who begins: epoch 0 comes from the key agreement, without a step. */
export function initiator(root: Bytes, chain: Bytes, seed: Bytes): Ratchet {
  return { ...begun, root, seed, sending: first(chain), receiving: null };
}

/** The state of who answers, whose first message steps. */
export function responder(root: Bytes, chain: Bytes, peerPublic: Bytes): Ratchet {
  const seed = zeros(SEED_BYTES);
  return { ...begun, root, seed, peerPublic, sending: null, receiving: first(chain) };
}

/**
 * Begin a new epoch of ours, with `MIX_BYTES` of pad mixed in where there are some.
 *
 * @throws ChatMisuse if the peer has offered no key since our last step.
 */
export async function step(state: Ratchet, mix: Slice | null, draws: Draws): Promise<Ratchet> {
  if (!mayStep(state))
    throw new ChatMisuse('expected a message of the peer between two steps, got none');
  const { ciphertext, secret } = await draws.encapsulate(state.peerPublic);
  const seed = draws.bytes(SEED_BYTES);
  const [padId, offset] = mix ? [mix.padId, mix.offset] : [NO_PAD, 0];
  const part = join(ciphertext, await publicOf(seed), padId, big(offset, 8));
  const epoch = seenEpoch(state) + 1;
  const { root, chain } = await mixed(state.root, secret, mix, epoch, part);
  const previous = state.sending?.number ?? 0;
  return { ...state, root, seed, sending: { epoch, key: chain, number: 0 }, previous, step: part };
}

/**
 * The state after our next message, its place and its key.
 *
 * @throws ChatMisuse for a responder that has not stepped yet.
 */
export async function nextKey(
  state: Ratchet,
): Promise<{ state: Ratchet; place: Place; key: Bytes }> {
  if (!state.sending) throw new ChatMisuse('expected a step before a first message of a responder');
  const { epoch, number } = state.sending;
  const { chain, key } = await advance(state.sending);
  const place = { epoch, number, previous: state.previous, seen: seenEpoch(state) };
  return { state: { ...state, sending: chain }, place, key };
}

/** The pad that a step names; null if it mixes no pad. */
export function mixedPad(part: Bytes): { padId: Bytes; offset: number } | null {
  const reader = new Reader(part.slice(CIPHERTEXT_BYTES + PUBLIC_BYTES));
  const [padId, offset] = [reader.take(PAD_ID_BYTES), reader.number(8)];
  return isZero(padId) ? null : { padId, offset };
}

/** Whether a message of this place comes from an epoch of the peer's that we do not know. */
export function isNewStep(state: Ratchet, place: Place): boolean {
  return place.epoch > seenEpoch(state);
}

/**
 * The key of a message of the peer's, and the state to keep once it has been opened.
 *
 * @param part The step it carries, or empty.
 * @param mix The pad that `part` names, if the step is new to us and names one.
 * @throws EpochUnknown, Replayed, TooManySkipped, or NotAuthentic if a step does not decapsulate.
 */
export async function keyOf(
  before: Ratchet,
  place: Place,
  part: Bytes,
  mix: Slice | null,
): Promise<{ state: Ratchet; key: Bytes }> {
  let state = before;
  if (isNewStep(state, place)) state = await follow(state, place, part, mix);
  if (place.seen >= sentEpoch(state)) state = { ...state, step: NONE };
  const newest = state.receiving;
  if (!newest) throw new EpochUnknown('expected a message behind a step, got one without');
  if (place.epoch < newest.epoch || (place.epoch === newest.epoch && place.number < newest.number))
    return late(state, place);
  const { receiving, skipped } = await skipTo(newest, state.skipped, place.number);
  const { chain, key } = await advance(receiving);
  return { state: { ...state, receiving: chain, skipped }, key };
}

/** Take the peer's step into a new epoch. */
async function follow(
  state: Ratchet,
  place: Place,
  part: Bytes,
  mix: Slice | null,
): Promise<Ratchet> {
  const expected = sentEpoch(state) + 1;
  if (part.length === 0 || place.epoch !== expected)
    throw new EpochUnknown(
      `expected a message of epoch ${seenEpoch(state)} at most, or the step into ${expected}, ` +
        `got one of epoch ${place.epoch}`,
    );
  let { skipped } = state;
  if (state.receiving) ({ skipped } = await skipTo(state.receiving, skipped, place.previous));
  let secret: Bytes;
  try {
    secret = await decapsulate(state.seed, part.slice(0, CIPHERTEXT_BYTES));
  } catch (error) {
    if (!(error instanceof KemRefused)) throw error;
    throw new NotAuthentic('expected a ciphertext for our key, got another');
  }
  const { root, chain } = await mixed(state.root, secret, mix, place.epoch, part);
  const oldest = place.epoch - MAX_EPOCHS_BEHIND;
  return {
    ...state,
    root,
    peerPublic: part.slice(CIPHERTEXT_BYTES, CIPHERTEXT_BYTES + PUBLIC_BYTES),
    receiving: { epoch: place.epoch, key: chain, number: 0 },
    skipped: skipped.filter(({ epoch }) => epoch >= oldest),
  };
}

/** Keep the keys of the messages before `number` that have not come. */
async function skipTo(
  receiving: Chain,
  skipped: readonly Chain[],
  number: number,
): Promise<{ receiving: Chain; skipped: readonly Chain[] }> {
  const missing = number - receiving.number;
  if (missing <= 0) return { receiving, skipped };
  if (missing > MAX_SKIP)
    throw new TooManySkipped(`expected at most ${MAX_SKIP} messages missing, got ${missing}`);
  const kept = [...skipped];
  let at = receiving;
  while (at.number < number) {
    const { chain, key } = await advance(at);
    kept.push({ ...at, key });
    at = chain;
  }
  return { receiving: at, skipped: kept.slice(-MAX_SKIPPED) };
}

/** The kept key of a message that others overtook. */
function late(state: Ratchet, place: Place): { state: Ratchet; key: Bytes } {
  const here = ({ epoch, number }: Chain) => epoch === place.epoch && number === place.number;
  const kept = state.skipped.find(here);
  if (!kept)
    throw new Replayed(
      `expected a message that has not come yet, got number ${place.number} of epoch ` +
        `${place.epoch} again, or too late`,
    );
  const skipped = state.skipped.filter((each) => each !== kept);
  return { state: { ...state, skipped }, key: kept.key };
}

async function advance(chain: Chain): Promise<{ chain: Chain; key: Bytes }> {
  const okm = await hkdf(NONE, chain.key, CHAIN, 64);
  return {
    chain: { epoch: chain.epoch, key: okm.slice(0, 32), number: chain.number + 1 },
    key: okm.slice(32),
  };
}

/** The next root, and the chain of the new epoch. */
async function mixed(
  root: Bytes,
  secret: Bytes,
  mix: Slice | null,
  epoch: number,
  part: Bytes,
): Promise<{ root: Bytes; chain: Bytes }> {
  const pad = mix ? mix.key : zeros(MIX_BYTES);
  const okm = await hkdf(root, join(secret, pad), join(STEP, big(epoch, 4), part), 64);
  return { root: okm.slice(0, 32), chain: okm.slice(32) };
}
