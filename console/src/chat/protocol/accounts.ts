/**
 * What a page and the accounts of a relay say to each other, on a line that is sealed between them,
 * whatever carries it.
 *
 * Records fill up to four sizes and are numbered by counting, so that one that is altered, repeated,
 * left out or out of order does not open. Whose answer it is, the relay's identity has signed.
 *
 * Source: spec/accounts.md.
 */

import { ascii, type Bytes, big, equal, isZero, join, Reader, zeros } from './bytes';
import { type Card, readCard } from './card';
import {
  AccountRefused,
  BundleRefused,
  IdentityChanged,
  KemRefused,
  NotAuthentic,
  RelayMisbehaved,
} from './errors';
import type { Challenge } from './frames';
import { isHandle } from './handles';
import { doesPrint } from './historyRecords';
import {
  IDENTITY_BYTES,
  type Identity,
  IdentityPublic,
  identityWith,
  keysOf,
  SIGNATURE_BYTES,
} from './identity';
import { CIPHERTEXT_BYTES, encapsulate, PUBLIC_BYTES } from './kem';
import type { Encapsulated } from './lattice';
import { type Packed, packed, Unpackable, unpacked } from './msgpack';
import {
  type Bundle,
  LASTING,
  ONE_TIME,
  PREKEY_BYTES,
  type PrekeySecret,
  readPrekey,
} from './prekeys';
import { GCM_TAG_BYTES, hkdf, NONCE_BYTES, openSealed, seal, sha256 } from './suite';

export const OFFER_BYTES = IDENTITY_BYTES + PUBLIC_BYTES + SIGNATURE_BYTES;
export const HELLO_BYTES = CIPHERTEXT_BYTES;
const REQUEST_SIZES = [512, 4096, 16_384] as const;
export const ANSWER_SIZES = [...REQUEST_SIZES, 65_536] as const;
const AROUND = GCM_TAG_BYTES + 4;
const TOKEN_BYTES = 32;
const DEVICE_BYTES = 8;
const FOUND_AT_MOST = 10;
const MAX_DEVICES = 10;
const MAX_DEVICE_LETTERS = 64;
/** What a date can be, in seconds since the epoch. */
const LAST_S = 8.64e12;
/** Prekeys that one request publishes: more would not fit a record. */
export const PREKEYS_AT_ONCE = 3;
export const MIN_PASSWORD_BYTES = 12;
export const MAX_PASSWORD_BYTES = 1024;

const OFFER = ascii('bellwire chat account offer 1');
const LINE = ascii('bellwire chat account line 1');
const PROOF = ascii('bellwire chat account 1');
const PASSWORD = ascii('bellwire chat password 1');
const CLAIM = ascii('bellwire chat handle 1');

/** Who finds an account. */
export const Visibility = { hidden: 0, exact: 1, listed: 2 } as const;
export type Visibility = (typeof Visibility)[keyof typeof Visibility];

/** A session of an account at its relay. Secret. */
export interface AccountSession {
  readonly token: Bytes;
  readonly device: Bytes;
  /** Seconds since the epoch. */
  readonly expires: number;
}

/** What a request of a session needs of it. */
export type InSession = Pick<AccountSession, 'token'>;

/** A device with a session of an account. */
export interface Device {
  readonly device: Bytes;
  /** What its owner calls it. */
  readonly name: string;
  /** When it logged in, in seconds since the epoch. */
  readonly since: number;
  /** When it last asked for something, to the hour. */
  readonly used: number;
  /** When its session ends, if nothing is asked. */
  readonly expires: number;
  /** Whether it asks. */
  readonly isThis: boolean;
  /** Whether who asks for the handle finds it. */
  readonly publishes: boolean;
}

/** Whether the relay takes this for the name of a device. */
export function isDeviceName(name: string): boolean {
  const letters = [...name].length;
  return letters >= 1 && letters <= MAX_DEVICE_LETTERS && doesPrint(name);
}

/** What others can take of ours. */
export interface Stock {
  /** Whether this browser published it. */
  readonly ours: boolean;
  /** Seconds since the epoch; 0: there is no lasting prekey. */
  readonly lastingUntil: number;
  /** One-time prekeys that are left. */
  readonly oneTime: number;
}

/** Whom a relay says that a handle is; the identity says the same. */
export interface Somebody {
  readonly handle: string;
  readonly bundle: Bundle;
  readonly card: Card;
}

class Direction {
  private count = 0;

  constructor(private readonly key: Bytes) {}

  private nonce(): Bytes {
    this.count += 1;
    return join(zeros(NONCE_BYTES - 8), big(this.count - 1, 8));
  }

  async seal(text: Bytes): Promise<Bytes> {
    const size = REQUEST_SIZES.find((each) => each - AROUND >= text.length);
    if (!size) throw new RangeError(`expected what fits a record, got ${text.length} bytes`);
    const plain = join(big(text.length, 4), text, zeros(size - AROUND - text.length));
    return seal(this.key, this.nonce(), plain, zeros(0));
  }

  /** @throws RelayMisbehaved if it is not the next record, or not the relay's. */
  async open(record: Bytes): Promise<Bytes> {
    try {
      const plain = await openSealed(this.key, this.nonce(), record, zeros(0));
      const reader = new Reader(plain);
      const length = reader.number(4);
      const isSized = ANSWER_SIZES.some((each) => each === record.length);
      if (!isSized || length > reader.left || !isZero(plain.subarray(4 + length)))
        throw new RelayMisbehaved('expected a record filled with zeros, got another');
      return reader.take(length);
    } catch (error) {
      if (!(error instanceof NotAuthentic)) throw error;
      throw new RelayMisbehaved('expected the next sealed record, got another');
    }
  }
}

/** Hands something to a relay's accounts, and gives what they answer. */
export type Hand = (body: Bytes) => Promise<Bytes>;

/** A sealed line to the accounts of a relay. After anything but AccountRefused it is over. */
export class AccountLine {
  private constructor(
    private readonly hand: Hand,
    private readonly up: Direction,
    private readonly down: Direction,
    /** What this line alone has; what is signed on it names it. */
    readonly binding: Bytes,
    readonly relayId: Bytes,
  ) {}

  /**
   * Begin one; the relay's identity is the one that its connections name.
   *
   * @throws RelayMisbehaved if it says what no relay says, or another signed its offer.
   */
  static async begin(
    hand: Hand,
    { nonce, relayId }: Challenge,
    encapsulated: (key: Bytes) => Promise<Encapsulated> = encapsulate,
  ): Promise<AccountLine> {
    const offer = await hand(zeros(0));
    if (offer.length !== OFFER_BYTES)
      throw new RelayMisbehaved(`expected an offer of ${OFFER_BYTES} bytes, got ${offer.length}`);
    const reader = new Reader(offer);
    const relay = await IdentityPublic.read(reader.take(IDENTITY_BYTES));
    const key = reader.take(PUBLIC_BYTES);
    let drawn: Encapsulated;
    try {
      if (!equal(relay.fingerprint, relayId))
        throw new RelayMisbehaved('expected accounts of the relay’s own key, got another’s');
      await relay.verify(reader.rest(), join(relayId, key), OFFER);
      drawn = await encapsulated(key);
    } catch (error) {
      if (!(error instanceof BundleRefused || error instanceof KemRefused)) throw error;
      throw new RelayMisbehaved('expected an offer that its relay signed, got another');
    }
    const transcript = await sha256(nonce, relayId, offer, drawn.ciphertext);
    const keys = new Reader(await hkdf(transcript, drawn.secret, LINE, 96));
    const [up, down] = [new Direction(keys.take(32)), new Direction(keys.take(32))];
    const line = new AccountLine(hand, up, down, keys.rest(), relayId);
    if ((await down.open(await hand(drawn.ciphertext))).length > 0)
      throw new RelayMisbehaved('expected an empty record first, got another');
    return line;
  }

  private async ask(request: Packed, is: string): Promise<Fields> {
    const said = await this.down.open(await this.hand(await this.up.seal(packed(request))));
    const fields = Fields.in(said);
    const found = fields.text('is');
    if (found === 'refused') throw new AccountRefused(fields.number('reason'));
    if (found !== is) throw new RelayMisbehaved(`expected the answer ${is}, got another`);
    return fields;
  }

  /** Have a handle, and a session; the same again, after no answer came, is harmless. */
  async signUp(
    handle: string,
    password: Bytes,
    identity: Identity,
    device: string,
    invitation: Bytes | null,
  ): Promise<AccountSession> {
    const key = await passwordKey(password, handle, this.relayId);
    const verifier = key.public.bytes;
    const text = this.proofText('sign up', handle, verifier);
    return this.session({
      do: 'sign up',
      handle,
      identity: identity.public.bytes,
      verifier,
      identity_proof: await identity.sign(text, PROOF),
      password_proof: await key.sign(text, PROOF),
      device,
      invitation,
    });
  }

  /** Begin a session, by the password. */
  async logIn(handle: string, password: Bytes, device: string): Promise<AccountSession> {
    const key = await passwordKey(password, handle, this.relayId);
    const proof = await key.sign(this.proofText('log in', handle), PROOF);
    return this.session({ do: 'log in', handle, proof, device });
  }

  private async session(request: Packed): Promise<AccountSession> {
    const fields = await this.ask(request, 'session');
    const [token, device] = [fields.bytes('token'), fields.bytes('device')];
    if (token.length !== TOKEN_BYTES || device.length !== DEVICE_BYTES)
      throw new RelayMisbehaved('expected a session, got another message');
    return { token, device, expires: fields.number('expires') };
  }

  private proofText(what: string, handle: string, verifier: Bytes = zeros(0)): Bytes {
    return join(ascii(`${what}\0${handle}\0`), this.binding, verifier);
  }

  /**
   * Have a new password, by the old one or by the identity; all sessions end.
   *
   * @param provenBy The old password, or the identity of the account.
   */
  async setPassword(handle: string, password: Bytes, provenBy: Bytes | Identity): Promise<void> {
    const key = await passwordKey(password, handle, this.relayId);
    const isOld = provenBy instanceof Uint8Array;
    const prover = isOld ? await passwordKey(provenBy, handle, this.relayId) : provenBy;
    const verifier = key.public.bytes;
    const text = this.proofText('set password', handle, verifier);
    const asked = {
      do: 'set password',
      handle,
      verifier,
      password_proof: await key.sign(text, PROOF),
      by_identity: !isOld,
      proof: await prover.sign(text, PROOF),
    };
    await this.ask(asked, 'done');
  }

  /** Have the account forgotten, by the password; nobody can have its handle again. */
  async delete({ token }: InSession, handle: string, password: Bytes): Promise<void> {
    const key = await passwordKey(password, handle, this.relayId);
    const proof = await key.sign(this.proofText('delete', handle), PROOF);
    await this.ask({ do: 'delete', token, proof }, 'done');
  }

  /** End the session of one device; null: this one. */
  async logOut({ token }: InSession, device: Bytes | null = null): Promise<void> {
    await this.ask({ do: 'log out', token, device }, 'done');
  }

  /** Where the account is logged in; that which logged in first is first. */
  async devices({ token }: InSession): Promise<readonly Device[]> {
    const listed = (await this.ask({ do: 'devices', token }, 'devices')).list('devices');
    if (listed.length > MAX_DEVICES) throw noAnswer();
    return listed.map((each) => deviceIn(new Fields(each)));
  }

  /** Call a device something else. */
  async nameDevice({ token }: InSession, device: Bytes, name: string): Promise<void> {
    await this.ask({ do: 'name device', token, device, name }, 'done');
  }

  /** All that the relay keeps of the account, as a JSON document. */
  async export({ token }: InSession): Promise<string> {
    const document = (await this.ask({ do: 'export', token }, 'export')).text('document');
    try {
      JSON.parse(document);
    } catch {
      throw noAnswer();
    }
    return document;
  }

  /** End all sessions of the account, this one too. */
  async logOutEverywhere({ token }: InSession): Promise<void> {
    await this.ask({ do: 'log out everywhere', token }, 'done');
  }

  async setVisibility({ token }: InSession, visibility: Visibility): Promise<void> {
    await this.ask({ do: 'set visibility', token, visibility }, 'done');
  }

  /** Be found: how we are reached by who writes first, and the prekey of the last resort. */
  async publishCard(
    { token }: InSession,
    handle: string,
    encodedCard: Bytes,
    identity: Identity,
    lasting: PrekeySecret,
  ): Promise<Stock> {
    const claim = await identity.sign(claimText(this.relayId, handle, encodedCard), CLAIM);
    return this.publish({
      token,
      lasting: lasting.prekey.encoded,
      one_time: [],
      card: encodedCard,
      claim,
    });
  }

  /** Have up to three one-time prekeys handed out, once each. */
  publishPrekeys({ token }: InSession, some: readonly PrekeySecret[]): Promise<Stock> {
    const oneTime = some.map(({ prekey }) => prekey.encoded);
    return this.publish({ token, lasting: null, one_time: oneTime, card: null, claim: null });
  }

  private async publish(what: { [name: string]: Packed }): Promise<Stock> {
    const fields = await this.ask({ do: 'publish', ...what }, 'stock');
    return {
      ours: fields.truth('ours'),
      lastingUntil: fields.number('lasting_until'),
      oneTime: fields.number('one_time'),
    };
  }

  /** Listed handles that begin so. */
  async search(prefix: string): Promise<readonly string[]> {
    const handles = (await this.ask({ do: 'search', prefix }, 'found')).list('handles');
    // They are shown: what a relay makes up is not taken for a handle.
    const good = handles.filter((each) => typeof each === 'string' && isHandle(each));
    if (good.length < handles.length || good.length > FOUND_AT_MOST)
      throw new RelayMisbehaved('expected handles, got something else');
    return good as string[];
  }

  /**
   * The keys of whoever has a handle, to begin a session with.
   *
   * @param known Fingerprint of their identity, if we know it.
   * @param now Seconds since the epoch.
   * @throws IdentityChanged if it is another identity than `known`.
   * @throws BundleRefused if the keys are not signed by it, or have expired; ContentMalformed if what
   *   it says of how it is reached is no card.
   */
  async take(handle: string, known: Bytes | null, now: number): Promise<Somebody> {
    const fields = await this.ask({ do: 'take', handle }, 'taken');
    const bytes = fields.bytes('identity');
    const lasting = fields.bytes('lasting');
    const oneTime = fields.bytesOrNull('one_time');
    if (bytes.length !== IDENTITY_BYTES || lasting.length !== PREKEY_BYTES)
      throw new RelayMisbehaved('expected somebody’s keys, got another message');
    const identity = await IdentityPublic.read(bytes);
    if (known && !equal(known, identity.fingerprint)) throw new IdentityChanged(handle);
    const encodedCard = fields.bytes('card');
    const text = claimText(this.relayId, handle, encodedCard);
    await identity.verify(fields.bytes('claim'), text, CLAIM);
    const bundle = {
      identity,
      lasting: await readPrekey(lasting, identity, LASTING, now),
      oneTime: oneTime && (await readPrekey(oneTime, identity, ONE_TIME, now)),
    };
    return { handle, bundle, card: readCard(encodedCard) };
  }
}

function claimText(relayId: Bytes, handle: string, encodedCard: Bytes): Bytes {
  return join(relayId, big(handle.length, 1), ascii(handle), encodedCard);
}

/**
 * The key pair that a password is for this handle at this relay: some seconds of work, and 64 MiB.
 *
 * Source: RFC 9106, 4; spec/accounts.md, 3.
 */
async function passwordKey(password: Bytes, handle: string, relayId: Bytes): Promise<Identity> {
  const { argon2idAsync } = await import('@noble/hashes/argon2.js');
  const salt = (await sha256(PASSWORD, relayId, ascii(handle))).slice(0, 16);
  const how = { t: 3, m: 65_536, p: 1, dkLen: 64 };
  const seed = Uint8Array.from(await argon2idAsync(password, salt, how));
  const { own, keys } = await keysOf(seed);
  seed.fill(0);
  return identityWith(own, keys);
}

function deviceIn(fields: Fields): Device {
  const [device, name] = [fields.bytes('device'), fields.text('name')];
  // It is shown: another device of the account may have chosen it.
  if (device.length !== DEVICE_BYTES || !isDeviceName(name)) throw noAnswer();
  return {
    device,
    name,
    since: fields.time('since'),
    used: fields.time('used'),
    expires: fields.time('expires'),
    isThis: fields.truth('is_this'),
    publishes: fields.truth('publishes'),
  };
}

/** The fields of an answer, or of a part of one; what is not of its kind is no answer. */
class Fields {
  private readonly all: { readonly [name: string]: Packed };

  static in(said: Bytes): Fields {
    try {
      return new Fields(unpacked(said));
    } catch (error) {
      if (!(error instanceof Unpackable)) throw error;
      throw noAnswer();
    }
  }

  constructor(value: Packed) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw noAnswer();
    if (value instanceof Uint8Array) throw noAnswer();
    this.all = value as { readonly [name: string]: Packed };
  }

  text(name: string): string {
    const found = this.all[name];
    if (typeof found !== 'string') throw noAnswer();
    return found;
  }

  number(name: string): number {
    const found = this.all[name];
    if (typeof found !== 'number') throw noAnswer();
    return found;
  }

  /** Seconds since the epoch that a date can be made of. */
  time(name: string): number {
    const found = this.number(name);
    if (!Number.isInteger(found) || found < 0 || found > LAST_S) throw noAnswer();
    return found;
  }

  truth(name: string): boolean {
    const found = this.all[name];
    if (typeof found !== 'boolean') throw noAnswer();
    return found;
  }

  bytes(name: string): Bytes {
    const found = this.all[name];
    if (!(found instanceof Uint8Array)) throw noAnswer();
    return found;
  }

  bytesOrNull(name: string): Bytes | null {
    return this.all[name] === null ? null : this.bytes(name);
  }

  list(name: string): readonly Packed[] {
    const found = this.all[name];
    if (!Array.isArray(found)) throw noAnswer();
    return found;
  }
}

const noAnswer = () => new RelayMisbehaved('expected an answer of accounts, got another message');
