/** Accounts of a relay in memory, behind sealed lines, as spec/accounts.md has them; for tests. */

import { toHex } from '../../../shared/merkle';
import { HELLO_BYTES, Visibility } from '../../protocol/accounts';
import { ascii, type Bytes, big, equal, join, zeros } from '../../protocol/bytes';
import { BundleRefused } from '../../protocol/errors';
import { type Identity, IdentityPublic, identityWith, keysOf } from '../../protocol/identity';
import { decapsulate, publicOf } from '../../protocol/kem';
import { type Packed, packed, unpacked } from '../../protocol/msgpack';
import { LASTING, ONE_TIME, readPrekey } from '../../protocol/prekeys';
import { hkdf, openSealed, seal, sha256 } from '../../protocol/suite';
import type { ModelRelay } from './relay';

type Fields = { [name: string]: Packed };

interface Kept {
  identity: IdentityPublic;
  verifier: IdentityPublic;
  visibility: number;
  publisher: string;
  lasting: Bytes | null;
  oneTime: Bytes[];
  card: Bytes | null;
  claim: Bytes | null;
}

const KEM_SEED = zeros(32).fill(3);
const PROOF = ascii('bellwire chat account 1');
const CLAIM = ascii('bellwire chat handle 1');
const drawn = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const nonce = (count: number) => join(zeros(4), big(count, 8));
const bytes = (value: Packed | undefined) => value as Bytes;

/** Nothing was done, for this reason. */
class Refused extends Error {
  constructor(readonly reason: number) {
    super(`refused: ${reason}`);
  }
}

export class ModelAccounts {
  readonly kept = new Map<string, Kept>();
  /** Handles, by the token of their session. */
  readonly sessions = new Map<string, string>();
  readonly devices = new Map<string, { device: Bytes; name: string }>();
  readonly given = new Set<string>();
  /** Those that serve, once each, where there are any. */
  invitations: string[] | null = null;

  private constructor(
    private readonly identity: Identity,
    private readonly key: Bytes,
  ) {}

  static async at(relay: ModelRelay): Promise<ModelAccounts> {
    const { own, keys } = await keysOf(zeros(64).fill(5));
    const accounts = new ModelAccounts(identityWith(own, keys), await publicOf(KEM_SEED));
    relay.id = own.fingerprint;
    relay.accounts = accounts;
    return accounts;
  }

  private get relayId(): Bytes {
    return this.identity.public.fingerprint;
  }

  /** Answers what is handed over on one connection. */
  line(challenge: Bytes): (body: Bytes) => Promise<Bytes> {
    let [up, down, binding, offer] = [zeros(0), zeros(0), zeros(0), zeros(0)];
    let count = 0;
    const sealed = (text: Bytes) => {
      const size = [512, 4096, 16_384, 65_536].find((each) => each >= text.length + 20) ?? 0;
      const plain = join(big(text.length, 4), text, zeros(size - 20 - text.length));
      count += 1;
      return seal(down, nonce(count - 1), plain, zeros(0));
    };
    return async (body) => {
      if (body.length === 0) {
        const text = join(this.relayId, this.key);
        const signature = await this.identity.sign(text, ascii('bellwire chat account offer 1'));
        offer = join(this.identity.public.bytes, this.key, signature);
        return offer;
      }
      if (body.length === HELLO_BYTES) {
        const transcript = await sha256(challenge, this.relayId, offer, body);
        const secret = await decapsulate(KEM_SEED, body);
        const keys = await hkdf(transcript, secret, ascii('bellwire chat account line 1'), 96);
        [up, down, binding] = [keys.slice(0, 32), keys.slice(32, 64), keys.slice(64)];
        return sealed(zeros(0));
      }
      const plain = await openSealed(up, nonce(count - 1), body, zeros(0));
      const length = new DataView(plain.buffer).getUint32(0);
      return sealed(packed(await this.said(plain.slice(4, 4 + length), binding)));
    };
  }

  private async said(asked: Bytes, binding: Bytes): Promise<Packed> {
    try {
      const fields = unpacked(asked) as Fields;
      if (fields.token === undefined) return await this.open(fields, binding);
      const name = toHex(bytes(fields.token));
      const handle = this.sessions.get(name);
      const kept = this.kept.get(handle ?? '');
      if (!handle || !kept) throw new Refused(8);
      return await this.inSession(fields, name, handle, kept, binding);
    } catch (error) {
      if (error instanceof Refused) return { is: 'refused', reason: error.reason };
      if (error instanceof BundleRefused) return { is: 'refused', reason: 7 };
      throw error;
    }
  }

  private async open(fields: Fields, binding: Bytes): Promise<Packed> {
    const handle = String(fields.handle);
    const kept = this.kept.get(handle);
    const text = (verifier: Bytes = zeros(0)) =>
      join(ascii(`${fields.do}\0${handle}\0`), binding, verifier);
    switch (fields.do) {
      case 'sign up': {
        const [identity, verifier] = [bytes(fields.identity), bytes(fields.verifier)];
        const [owner, key] = [
          await IdentityPublic.read(identity),
          await IdentityPublic.read(verifier),
        ];
        await owner.verify(bytes(fields.identity_proof), text(verifier), PROOF);
        await key.verify(bytes(fields.password_proof), text(verifier), PROOF);
        if (this.given.has(handle)) throw new Refused(2);
        const invitation = fields.invitation ? toHex(bytes(fields.invitation)) : '';
        if (this.invitations && !this.invitations.includes(invitation)) throw new Refused(12);
        this.invitations = this.invitations?.filter((each) => each !== invitation) ?? null;
        this.given.add(handle);
        const [visibility, publisher, nothing] = [Visibility.exact, '', null];
        const empty = { lasting: nothing, oneTime: [], card: nothing, claim: nothing };
        this.kept.set(handle, { identity: owner, verifier: key, visibility, publisher, ...empty });
        return this.session(handle, fields);
      }
      case 'log in':
        await this.proved(kept, bytes(fields.proof), text());
        return this.session(handle, fields);
      case 'set password': {
        const verifier = await IdentityPublic.read(bytes(fields.verifier));
        await verifier.verify(bytes(fields.password_proof), text(verifier.bytes), PROOF);
        const prover = fields.by_identity && kept ? { ...kept, verifier: kept.identity } : kept;
        await this.proved(prover, bytes(fields.proof), text(verifier.bytes));
        if (kept) kept.verifier = verifier;
        this.endAll(handle);
        return { is: 'done' };
      }
      case 'take': {
        if (!kept?.card || !kept.visibility) throw new Refused(4);
        const { identity, lasting, card, claim } = kept;
        const oneTime = kept.oneTime.shift() ?? null;
        return { is: 'taken', identity: identity.bytes, lasting, one_time: oneTime, card, claim };
      }
      default: {
        const listed = [...this.kept].filter(([, each]) => each.visibility === Visibility.listed);
        const handles = listed
          .map(([each]) => each)
          .filter((e) => e.startsWith(String(fields.prefix)));
        return { is: 'found', handles };
      }
    }
  }

  private async proved(kept: Kept | undefined, proof: Bytes, text: Bytes): Promise<void> {
    try {
      if (kept) return await kept.verifier.verify(proof, text, PROOF);
    } catch (error) {
      if (!(error instanceof BundleRefused)) throw error;
    }
    throw new Refused(1);
  }

  private session(handle: string, fields: Fields): Packed {
    const [token, device] = [drawn(32), drawn(8)];
    this.sessions.set(toHex(token), handle);
    this.devices.set(toHex(token), { device, name: String(fields.device) });
    return { is: 'session', token, device, expires: 2e9 };
  }

  /** Sessions of an account, and what their devices are called. */
  private seats(handle: string): [string, { device: Bytes; name: string }][] {
    return [...this.devices].filter(([token]) => this.sessions.get(token) === handle);
  }

  private seat(handle: string, device: Bytes): [string, { device: Bytes; name: string }] {
    const found = this.seats(handle).find(([, each]) => equal(each.device, device));
    if (!found) throw new Refused(10);
    return found;
  }

  endAll(handle: string): void {
    for (const [token, whose] of this.sessions) if (whose === handle) this.sessions.delete(token);
  }

  private async inSession(
    fields: Fields,
    token: string,
    handle: string,
    kept: Kept,
    binding: Bytes,
  ): Promise<Packed> {
    switch (fields.do) {
      case 'log out': {
        const [ends] = fields.device ? this.seat(handle, bytes(fields.device)) : [token];
        this.sessions.delete(ends);
        if (kept.publisher === ends) kept.card = null;
        return { is: 'done' };
      }
      case 'devices': {
        const times = { since: 1_790_000_000, used: 1_790_003_600, expires: 2e9 };
        const devices = this.seats(handle).map(([each, { device, name }]) => ({
          ...{ device, name, ...times },
          ...{ is_this: each === token, publishes: each === kept.publisher },
        }));
        return { is: 'devices', devices };
      }
      case 'name device':
        this.seat(handle, bytes(fields.device))[1].name = String(fields.name);
        return { is: 'done' };
      case 'export': {
        const devices = this.seats(handle).map(([, { name }]) => name);
        return { is: 'export', document: JSON.stringify({ handle, devices }) };
      }
      case 'log out everywhere':
        this.endAll(handle);
        kept.card = null;
        return { is: 'done' };
      case 'set visibility':
        kept.visibility = Number(fields.visibility);
        return { is: 'done' };
      case 'delete':
        await this.proved(kept, bytes(fields.proof), join(ascii(`delete\0${handle}\0`), binding));
        this.kept.delete(handle);
        this.endAll(handle);
        return { is: 'done' };
      default:
        return this.publish(fields, token, handle, kept);
    }
  }

  private async publish(
    fields: Fields,
    token: string,
    handle: string,
    kept: Kept,
  ): Promise<Packed> {
    const now = Date.now() / 1000;
    if (fields.card) {
      const card = bytes(fields.card);
      const text = join(this.relayId, big(handle.length, 1), ascii(handle), card);
      await kept.identity.verify(bytes(fields.claim), text, CLAIM);
      await readPrekey(bytes(fields.lasting), kept.identity, LASTING, now);
      Object.assign(kept, { card, claim: fields.claim, lasting: fields.lasting });
    }
    for (const each of fields.one_time as Bytes[]) {
      await readPrekey(each, kept.identity, ONE_TIME, now);
      kept.oneTime.push(each);
    }
    kept.publisher = token;
    return { is: 'stock', ours: true, lasting_until: 2e9, one_time: kept.oneTime.length };
  }
}
