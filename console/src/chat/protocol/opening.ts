/**
 * How a session begins while the other side is away.
 *
 * The initiator encapsulates to the responder's prekeys; the secrets give the session's keys and one
 * that hides the initiator's identity and signature. The signature covers both identities, the
 * prekeys and all ciphertexts; the responder is whoever can decapsulate.
 *
 * Source: Kret and Schmidt, "The PQXDH Key Agreement Protocol", 2023; spec/chat.md, 2.
 */

import { ascii, type Bytes, isZero, join, Reader, zeros } from './bytes';
import { type Draws, fresh } from './draws';
import { BundleRefused, ChatMisuse, KemRefused, NotAuthentic, OpeningRefused } from './errors';
import { IDENTITY_BYTES, type Identity, IdentityPublic, SIGNATURE_BYTES } from './identity';
import {
  CIPHERTEXT_BYTES,
  checkPublic,
  decapsulate,
  PUBLIC_BYTES,
  publicOf,
  SEED_BYTES,
} from './kem';
import {
  type Bundle,
  LASTING,
  ONE_TIME,
  PREKEY_ID_BYTES,
  type PrekeyKind,
  type PrekeySecret,
} from './prekeys';
import { initiator, type Ratchet, responder } from './ratchet';
import { KIND_OPENING, MIX_EVERY, OPENING_BYTES, type Session } from './session';
import { hkdf, NONCE_BYTES, openSealed, seal, sha256 } from './suite';

const NONE = zeros(0);
const OPENING = ascii('bellwire chat opening 1');
const IDENTITY = ascii('bellwire chat identity');
const SESSION = ascii('bellwire chat session');

/** A prekey of ours by its id, while it counts. */
export type Lookup = (id: Bytes) => Promise<PrekeySecret | null>;

/** What a responder has of an opening, before it has opened the message behind it. */
export interface Accepted {
  /** Keep it only once the message has opened, too. */
  readonly session: Session;
  /** Who says that they are the initiator, and has signed it. */
  readonly peer: IdentityPublic;
  /** Id of the one-time prekey to destroy with it; null if there was none. */
  readonly oneTime: Bytes | null;
}

/** What both sides of an opening have. */
interface Agreed {
  readonly responder: Bytes;
  readonly transcript: Bytes;
  readonly secrets: Bytes;
}

interface Prekeys {
  readonly idLasting: Bytes;
  readonly lasting: Bytes;
  readonly idOnce: Bytes;
  /** Empty where there is none. */
  readonly once: Bytes;
}

async function agree(
  owner: Bytes,
  { idLasting, lasting, idOnce, once }: Prekeys,
  ciphertexts: Bytes,
  secrets: Bytes,
): Promise<Agreed> {
  const transcript = await sha256(OPENING, owner, idLasting, lasting, idOnce, once, ciphertexts);
  return { responder: owner, transcript, secrets };
}

const identityKey = ({ transcript, secrets }: Agreed) => hkdf(transcript, secrets, IDENTITY, 32);
const signedText = ({ transcript, responder: owner }: Agreed, offered: Bytes) =>
  join(transcript, owner, offered);

async function sessionOf(
  agreed: Agreed,
  opening: Bytes,
  sides: { own: Bytes; peer: Bytes },
  start: (root: Bytes, chain: Bytes) => Ratchet,
  initiates: boolean,
): Promise<Session> {
  const whole = await sha256(agreed.transcript, opening);
  const reader = new Reader(await hkdf(whole, agreed.secrets, SESSION, 144));
  const [root, chain] = [reader.take(32), reader.take(32)];
  const [up, down] = [reader.take(32), reader.take(32)];
  return {
    ...sides,
    id: reader.rest(),
    openingId: await sha256(opening),
    opening: initiates ? opening : NONE,
    headerOut: initiates ? up : down,
    headerIn: initiates ? down : up,
    ratchet: start(root, chain),
    unmixed: MIX_EVERY,
    unstepped: 0,
  };
}

/**
 * A session of ours with the owner of the bundle, who may be away.
 *
 * @throws ChatMisuse if it is ourselves.
 */
export async function begin(
  identity: Identity,
  bundle: Bundle,
  draws: Draws = fresh,
): Promise<Session> {
  if (bundle.identity.is(identity.public))
    throw new ChatMisuse("expected somebody else's keys, got our own");
  const { lasting, oneTime } = bundle;
  const first = await draws.encapsulate(lasting.publicKey);
  const second = oneTime
    ? await draws.encapsulate(oneTime.publicKey)
    : { ciphertext: zeros(CIPHERTEXT_BYTES), secret: zeros(32) };
  const idOnce = oneTime?.id ?? zeros(PREKEY_ID_BYTES);
  const once = oneTime?.publicKey ?? NONE;
  const peer = bundle.identity.fingerprint;
  const agreed = await agree(
    peer,
    { idLasting: lasting.id, lasting: lasting.publicKey, idOnce, once },
    join(first.ciphertext, second.ciphertext),
    join(first.secret, second.secret),
  );
  const seed = draws.bytes(SEED_BYTES);
  const offered = await publicOf(seed);
  const signature = await identity.sign(signedText(agreed, offered), OPENING);
  const hello = join(identity.public.bytes, offered, signature);
  const sealed = await seal(await identityKey(agreed), zeros(NONCE_BYTES), hello, NONE);
  const opening = join(lasting.id, idOnce, first.ciphertext, second.ciphertext, sealed);
  const sides = { own: identity.public.fingerprint, peer };
  return sessionOf(agreed, opening, sides, (root, chain) => initiator(root, chain, seed), true);
}

/**
 * The 32 bytes that an opening is known by; null if the payload carries none.
 *
 * An opening whose id was seen belongs to that session, or is a replay if the session is gone.
 */
export async function openingId(payload: Bytes): Promise<Bytes | null> {
  if (payload[0] !== KIND_OPENING || payload.length <= OPENING_BYTES) return null;
  return sha256(payload.slice(1, 1 + OPENING_BYTES));
}

/**
 * The session that an opening begins, on our side.
 *
 * @throws OpeningRefused if it is none, names prekeys that are gone, or is not authentic.
 */
export async function accept(
  identity: Identity,
  payload: Bytes,
  lookup: Lookup,
): Promise<Accepted> {
  if ((await openingId(payload)) === null)
    throw new OpeningRefused('expected the opening of a session, got another payload');
  const opening = payload.slice(1, 1 + OPENING_BYTES);
  const reader = new Reader(opening);
  const [idLasting, idOnce] = [reader.take(PREKEY_ID_BYTES), reader.take(PREKEY_ID_BYTES)];
  const [first, second] = [reader.take(CIPHERTEXT_BYTES), reader.take(CIPHERTEXT_BYTES)];
  const lasting = await wanted(lookup, idLasting, LASTING);
  const once = isZero(idOnce) ? null : await wanted(lookup, idOnce, ONE_TIME);
  const own = identity.public.fingerprint;
  const { agreed, peer, offered } = await refusing(async () => {
    const secrets = join(
      await decapsulate(lasting.seed, first),
      once ? await decapsulate(once.seed, second) : zeros(32),
    );
    const publicKeys = {
      idLasting,
      lasting: lasting.prekey.publicKey,
      idOnce,
      once: once?.prekey.publicKey ?? NONE,
    };
    const between = await agree(own, publicKeys, join(first, second), secrets);
    const key = await identityKey(between);
    const hello = new Reader(await openSealed(key, zeros(NONCE_BYTES), reader.rest(), NONE));
    const signer = await IdentityPublic.read(hello.take(IDENTITY_BYTES));
    const shown = hello.take(PUBLIC_BYTES);
    await signer.verify(hello.take(SIGNATURE_BYTES), signedText(between, shown), OPENING);
    checkPublic(shown);
    return { agreed: between, peer: signer, offered: shown };
  });
  if (peer.is(identity.public))
    throw new OpeningRefused("expected somebody else's opening, got our own");
  const sides = { own, peer: peer.fingerprint };
  const start = (root: Bytes, chain: Bytes) => responder(root, chain, offered);
  const session = await sessionOf(agreed, opening, sides, start, false);
  return { session, peer, oneTime: once ? idOnce : null };
}

async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (
      !(
        error instanceof KemRefused ||
        error instanceof NotAuthentic ||
        error instanceof BundleRefused
      )
    )
      throw error;
    throw new OpeningRefused('expected an authentic opening for our keys, got another');
  }
}

async function wanted(lookup: Lookup, id: Bytes, kind: PrekeyKind): Promise<PrekeySecret> {
  const found = await lookup(id);
  if (found?.prekey.kind !== kind)
    throw new OpeningRefused(
      "expected an opening for a prekey that we have, got one for a prekey that is used, expired or another's",
    );
  return found;
}
