// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { AccountLine, type Hand, Visibility } from './accounts';
import { ascii, type Bytes, equal, join, zeros } from './bytes';
import { encodeCard, readCard } from './card';
import { AccountRefused, IdentityChanged, RelayMisbehaved } from './errors';
import { readAnswer, toAccounts } from './frames';
import { handleOf, prefixOf } from './handles';
import { type Identity, identityWith, keysOf } from './identity';
import { decapsulate } from './kem';
import { type Packed, packed, unpacked } from './msgpack';
import { makePrekey, ONE_TIME, type PrekeySecret } from './prekeys';
import { openSealed, seal, sha256 } from './suite';
import { hex, known } from './testing/known';

interface Hashed {
  bytes: number;
  sha256: string;
}

const { given, follows } = known<{
  given: Record<string, string>;
  follows: {
    handle: string;
    password: string;
    device: string;
    not_after: number;
    up: string;
    down: string;
    owner: string;
    requests: string[];
    answers: string[];
    requests_sealed: Hashed[];
    answers_sealed: Hashed[];
  };
}>('chat/account.json');
const fixed = (name: string) => hex(given[name] ?? '');
const challenge = { nonce: fixed('nonce'), relayId: fixed('relay_id') };
const [UP, DOWN] = [hex(follows.up), hex(follows.down)];
const nonce = (count: number) => join(zeros(11), Uint8Array.of(count));
const hashed = async (bytes: Bytes): Promise<Hashed> => ({
  bytes: bytes.length,
  sha256: Buffer.from(await sha256(bytes)).toString('hex'),
});
const owner = async (): Promise<Identity> => {
  const { own, keys } = await keysOf(fixed('owner_seed'));
  return identityWith(own, keys);
};

/** The relay of the known answers: what it was asked, and what it says to that. */
class Relay {
  readonly asked: Bytes[] = [];
  readonly sealed: Bytes[] = [];
  private count = 0;

  constructor(private readonly answers: readonly Bytes[]) {}

  readonly hand: Hand = async (body) => {
    if (body.length === 0) return fixed('offer');
    if (this.count > 0) {
      const plain = await openSealed(UP, nonce(this.count - 1), body, zeros(0));
      const length = new DataView(plain.buffer).getUint32(0);
      this.sealed.push(body);
      this.asked.push(plain.slice(4, 4 + length));
    }
    return this.say(this.count === 0 ? zeros(0) : (this.answers[this.count - 1] ?? zeros(0)));
  };

  private async say(text: Bytes): Promise<Bytes> {
    const size = [512, 4096, 16_384, 65_536].find((each) => each >= text.length + 20) ?? 0;
    const length = Uint8Array.of(0, 0, text.length >> 8, text.length & 255);
    const plain = join(length, text, zeros(size - 20 - text.length));
    this.count += 1;
    return seal(DOWN, nonce(this.count - 1), plain, zeros(0));
  }
}

/** The line of the known answers: its coins are those that were drawn then. */
const begin = (hand: Hand) =>
  AccountLine.begin(hand, challenge, async () => ({
    ciphertext: fixed('hello'),
    secret: await decapsulate(fixed('offered_seed'), fixed('hello')),
  }));
const [FOUND, TAKEN, TAKEN_LASTING] = [5, 6, 7];
const answer = (at: number) => hex(follows.answers[at] ?? '');
const prekey = (name: string) => ({ prekey: { encoded: fixed(name) } }) as PrekeySecret;

describe('a line to the accounts of a relay', () => {
  it('says and hears what the Python side does, byte by byte', async () => {
    const relay = new Relay(follows.answers.map(hex));
    const line = await begin(relay.hand);
    const password = ascii(follows.password);
    const me = await owner();
    const session = await line.signUp(follows.handle, password, me, follows.device, null);
    await line.setVisibility(session, Visibility.listed);
    const lasting = prekey('lasting');
    const stock = await line.publishCard(session, follows.handle, fixed('card'), me, lasting);
    expect(stock).toEqual({ ours: true, lastingUntil: follows.not_after, oneTime: 0 });
    expect((await line.publishPrekeys(session, [prekey('one_time')])).oneTime).toBe(1);
    await expect(line.logOut(session)).rejects.toEqual(new AccountRefused(8));
    expect(await line.search('zo')).toEqual(['zoe', follows.handle]);
    const found = await line.take(follows.handle, hex(follows.owner), 1_800_000_000);
    expect(encodeCard(found.card)).toEqual(fixed('card'));
    expect(found.bundle.oneTime?.encoded).toEqual(fixed('one_time'));
    // Signatures draw coins: what was signed is verified by the other side; the rest is the same.
    const signed = new Set(['identity_proof', 'password_proof', 'claim']);
    const plain = (value: Packed) =>
      Object.entries(value as object).map(([name, each]) => [name, signed.has(name) ? 0 : each]);
    expect(relay.asked.map((each) => plain(unpacked(each)))).toEqual(
      follows.requests.map((each) => plain(unpacked(hex(each)))),
    );
    const byItself = [1, 3, 4, 5, 6];
    for (const at of byItself)
      expect(await hashed(relay.sealed[at] ?? zeros(0))).toEqual(follows.requests_sealed[at]);
    const asked = unpacked(relay.asked[0] ?? zeros(0)) as Record<string, Bytes>;
    const before = unpacked(hex(follows.requests[0] ?? '')) as Record<string, Bytes>;
    const text = join(
      ascii(`sign up\0${follows.handle}\0`),
      line.binding,
      asked.verifier ?? zeros(0),
    );
    for (const { identity_proof: proof = zeros(0) } of [asked, before])
      await me.public.verify(proof, text, ascii('bellwire chat account 1'));
  });

  it('is over where another relay answers, or anything was altered', async () => {
    const other = { ...challenge, relayId: zeros(32) };
    const { hand } = new Relay([]);
    await expect(AccountLine.begin(hand, other)).rejects.toThrow(RelayMisbehaved);
    const spoiled: Hand = async (body) => {
      const said = await hand(body);
      if (said.length < 6000) return said;
      return said.map((byte, at) => (at === 3000 ? byte ^ 1 : byte));
    };
    await expect(AccountLine.begin(spoiled, challenge)).rejects.toThrow(RelayMisbehaved);
    const relay = new Relay([answer(FOUND), answer(FOUND)]);
    let flip = false;
    const line = await begin(async (body) => {
      const said = await relay.hand(body);
      return flip ? said.map((byte, at) => (at === 40 ? byte ^ 1 : byte)) : said;
    });
    flip = true;
    await expect(line.search('zo')).rejects.toThrow(RelayMisbehaved);
  });

  it('gives nobody whose identity is another, or did not claim the handle', async () => {
    const take = async (said: Bytes, handle = follows.handle, whom: Bytes | null = null) =>
      (await begin(new Relay([said]).hand)).take(handle, whom, 1_800_000_000);
    expect((await take(answer(TAKEN_LASTING))).bundle.oneTime).toBeNull();
    await expect(take(answer(TAKEN), follows.handle, zeros(32))).rejects.toThrow(IdentityChanged);
    await expect(take(answer(TAKEN), 'zoe-b_2')).rejects.toThrow('signatures');
    const fields = unpacked(answer(TAKEN)) as { [name: string]: Packed };
    const { card } = await take(answer(TAKEN));
    const elsewhere = encodeCard({ ...card, relay: 'wss://elsewhere.example:1' });
    await expect(take(packed({ ...fields, card: elsewhere }))).rejects.toThrow('signatures');
    const late = begin(new Relay([answer(TAKEN)]).hand);
    await expect((await late).take(follows.handle, null, 2e9)).rejects.toThrow('expired');
    for (const bad of [answer(FOUND), zeros(3), packed({ ...fields, claim: null }), packed([])])
      await expect(take(bad)).rejects.toThrow(RelayMisbehaved);
  });

  it('shows no handles that are none', async () => {
    const search = async (handles: Packed) =>
      (await begin(new Relay([packed({ is: 'found', handles })]).hand)).search('zo');
    expect(await search([])).toEqual([]);
    for (const bad of [['zoe', 'Zoe'], [7], ['\u202ezoe'], Array(11).fill('zoe'), 'zoe'])
      await expect(search(bad)).rejects.toThrow(RelayMisbehaved);
  });

  it('shows no devices, and exports nothing, that is none', async () => {
    const session = { token: zeros(32) };
    const device = { device: zeros(8), name: 'a browser', since: 1, used: 2, expires: 3 };
    const listed = { ...device, is_this: true, publishes: false };
    const devices = async (said: Packed) =>
      (await begin(new Relay([packed({ is: 'devices', devices: said })]).hand)).devices(session);
    expect(await devices([listed])).toEqual([
      { ...device, isThis: true, publishes: false, device: zeros(8) },
    ]);
    for (const bad of [
      { ...listed, device: zeros(9) },
      { ...listed, name: '' },
      { ...listed, name: 'x'.repeat(65) },
      { ...listed, name: 'turned \u202e around' },
      { ...listed, used: -1 },
      { ...listed, since: 0.5 },
      { ...listed, expires: 2 ** 50 },
      { ...listed, is_this: 1 },
      device,
      'a browser',
    ])
      await expect(devices([bad])).rejects.toThrow(RelayMisbehaved);
    await expect(devices(Array(11).fill(listed))).rejects.toThrow(RelayMisbehaved);
    const kept = async (document: Packed) =>
      (await begin(new Relay([packed({ is: 'export', document })]).hand)).export(session);
    expect(await kept('{"handle": "zoe"}')).toBe('{"handle": "zoe"}');
    for (const bad of ['{"handle": ', '', 7])
      await expect(kept(bad)).rejects.toThrow(RelayMisbehaved);
  });

  it('has frames of its own', async () => {
    expect(toAccounts(7, zeros(0))).toEqual(Uint8Array.of(7, 0, 0, 0, 7));
    const frame = join(Uint8Array.of(0x85, 0, 0, 0, 7), zeros(512));
    expect(readAnswer(frame)).toEqual({ is: 'accounts', request: 7, body: zeros(512) });
    expect(() => readAnswer(frame.slice(1))).toThrow(RelayMisbehaved);
    expect(() => readAnswer(join(frame, zeros(1)))).toThrow(RelayMisbehaved);
  });
});

it('handles are written in one way', () => {
  expect([handleOf('@Bob-2'), handleOf('bob_'), prefixOf('BO')]).toEqual(['bob-2', 'bob_', 'bo']);
  for (const bad of ['bo', '@@bob', '2bob', 'bob!', '\u212aelvin', 'b'.repeat(33), ''])
    expect(() => handleOf(bad)).toThrow('expected');
  expect(() => prefixOf('b')).toThrow('expected');
});

it('what is packed is read again, and nothing else is', async () => {
  const most = {
    a: [null, true, false, 0, 127, 128, 65_536, 2 ** 40, 0.5, -7],
    b: ascii('x'.repeat(300)),
  };
  const value = { ...most, c: 'ä'.repeat(40), d: { e: Array(20).fill(1) } };
  expect(unpacked(packed(value))).toEqual(value);
  const whole = packed(value);
  expect(() => unpacked(whole.slice(0, -1))).toThrow('expected');
  expect(() => unpacked(join(whole, zeros(1)))).toThrow('expected');
  for (const bad of ['', 'c1', 'ca00000000', '81a1610081', 'dfffffffff', '91919191919100', 'a1ff'])
    expect(() => unpacked(hex(bad))).toThrow('expected');
  expect(() => unpacked(hex('82a16100a16100'))).toThrow('each once');
  expect(equal(packed(readCard(fixed('card')).name), packed('Zoë'))).toBe(true);
  expect((await makePrekey(await owner(), ONE_TIME, 5)).prekey.encoded.length).toBe(4614);
});
