// @vitest-environment node
import 'fake-indexeddb/auto';
import { afterEach, describe, expect, it } from 'vitest';
import { toHex } from '../../shared/merkle';
import { ascii, type Bytes, zeros } from '../protocol/bytes';
import { Kind, MAX_TEXT_BYTES, makeContent } from '../protocol/content';
import {
  MessageRefused,
  OpeningRefused,
  PadExhausted,
  PadMissing,
  Replayed,
} from '../protocol/errors';
import type { Identity } from '../protocol/identity';
import type { PrekeySecret } from '../protocol/prekeys';
import { PAD, type PadRecord, padLeft, padRecord } from './pads';
import { freshBundle, ownIdentity, PREKEY } from './person';
import { meet } from './renewing';
import { hear, messages, say, taken, waiting } from './talk';
import { Vault } from './vault';

const NOW = 1_800_000_000;
const vaults: Vault[] = [];
let made = 0;

afterEach(() => {
  for (const vault of vaults.splice(0)) vault.close();
});

interface Side {
  name: string;
  vault: Vault;
  identity: Identity;
  hex: string;
}

async function side(name = `talk ${made++}`): Promise<Side> {
  const vault = await Vault.open(name);
  vaults.push(vault);
  const identity = await ownIdentity(vault);
  return { name, vault, identity, hex: toHex(identity.public.fingerprint) };
}

const drawn = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const words = (text: string) =>
  makeContent({ kind: Kind.text, id: drawn(16), sentMs: 5, text: ascii(text) });

/** Give both a pad that `from` sends under. */
async function share(from: Side, to: Side, length: number, order = 0): Promise<Bytes> {
  const [id, key] = [drawn(16), drawn(length)];
  const about = { order, id, source: 'simulated' };
  const ours = padRecord({ ...about, peer: to.hex, ours: true }, key);
  const theirs = padRecord({ ...about, peer: from.hex, ours: false }, key);
  await from.vault.commit([{ kind: PAD, key: toHex(id), value: ours, expected: 0 }]);
  await to.vault.commit([{ kind: PAD, key: toHex(id), value: theirs, expected: 0 }]);
  return id;
}

/** Two who know each other; the first has begun. */
async function two(): Promise<readonly [Side, Side]> {
  const [alice, bob] = [await side(), await side()];
  const bundle = await freshBundle(bob.vault, bob.identity, NOW, 86_400);
  await meet(alice.vault, alice.identity, bundle, [], NOW, async () => []);
  return [alice, bob];
}

/** Carry all that waits; what each said. */
async function carry(from: Side, to: Side): Promise<Bytes[]> {
  const carried: Bytes[] = [];
  for (const { key, value } of await waiting(from.vault)) {
    await hear(to.vault, to.identity, value.payload, NOW);
    await taken(from.vault, key);
    carried.push(value.payload);
  }
  return carried;
}

const texts = async (one: Side, other: Side) =>
  (await messages(one.vault, other.hex)).map(({ content, state }) => [
    new TextDecoder().decode(content.text),
    state,
  ]);

const receipt = (kind: typeof Kind.delivered | typeof Kind.refused, id: Bytes) =>
  makeContent({ kind, id: drawn(16), sentMs: 6, text: id });

describe('an identity', () => {
  it('is the same one later, and its keys cannot be read out', async () => {
    const one = await side('who');
    one.vault.close();
    const again = await side('who');
    expect(again.hex).toBe(one.hex);
    await again.identity.public.verify(
      await again.identity.sign(ascii('text'), ascii('label')),
      ascii('text'),
      ascii('label'),
    );
    const key = await again.vault.key('ed25519');
    expect(key?.extractable).toBe(false);
  });

  it('is one for two windows that open it at once', async () => {
    const [one, other] = await Promise.all([side('both'), side('both')]);
    expect(one.hex).toBe(other.hex);
  });
});

describe('two people', () => {
  it('talk both ways, and each sees what became of it', async () => {
    const [alice, bob] = await two();
    await say(alice.vault, bob.hex, words('hello'), 'prefer');
    expect(await texts(alice, bob)).toEqual([['hello', 'waiting']]);
    await carry(alice, bob);
    expect(await texts(alice, bob)).toEqual([['hello', 'sent']]);
    expect(await texts(bob, alice)).toEqual([['hello', 'heard']]);
    const [heard] = await messages(bob.vault, alice.hex);
    const id = heard?.content.id ?? zeros(16);
    await say(bob.vault, alice.hex, receipt(Kind.delivered, id), 'prefer');
    await say(bob.vault, alice.hex, words('and back'), 'prefer');
    await carry(bob, alice);
    expect((await texts(alice, bob)).toSorted()).toEqual([
      ['and back', 'heard'],
      ['hello', 'delivered'],
    ]);
  });

  it('go on after both were closed, with what waited', async () => {
    let [alice, bob] = await two();
    await say(alice.vault, bob.hex, words('before'), 'prefer');
    for (const each of [alice, bob]) each.vault.close();
    [alice, bob] = [await side(alice.name), await side(bob.name)];
    await carry(alice, bob);
    await say(bob.vault, alice.hex, words('after'), 'prefer');
    await carry(bob, alice);
    expect((await texts(alice, bob)).flat()).toContain('after');
  });

  it('show nothing twice, and nothing that was altered', async () => {
    const [alice, bob] = await two();
    await say(alice.vault, bob.hex, words('once'), 'prefer');
    const [payload] = (await carry(alice, bob)) as [Bytes];
    await expect(hear(bob.vault, bob.identity, payload, NOW)).rejects.toThrow(Replayed);
    const altered = payload.map((byte, at) => (at === payload.length - 1 ? byte ^ 1 : byte));
    await expect(hear(bob.vault, bob.identity, altered, NOW)).rejects.toThrow(MessageRefused);
    expect(await texts(bob, alice)).toEqual([['once', 'heard']]);
  });

  it('send a long text in parts, which are shown once all are there', async () => {
    const [alice, bob] = await two();
    const long = '½'.repeat(MAX_TEXT_BYTES / 2);
    await say(alice.vault, bob.hex, words(long), 'prefer');
    const parts = await waiting(alice.vault);
    expect(parts).toHaveLength(11);
    const order = [3, 0, 1, 10, 2, 4, 5, 6, 7, 9, 8];
    for (const at of order) {
      expect(await texts(bob, alice)).toEqual([]);
      await hear(bob.vault, bob.identity, parts[at]?.value.payload ?? zeros(0), NOW);
    }
    expect(await texts(bob, alice)).toEqual([[long, 'heard']]);
    expect(await bob.vault.list('part')).toEqual([]);
    for (const { key } of parts.slice(1)) await taken(alice.vault, key);
    expect((await texts(alice, bob))[0]?.[1]).toBe('waiting');
    await taken(alice.vault, parts[0]?.key ?? '');
    expect((await texts(alice, bob))[0]?.[1]).toBe('sent');
  });
});

describe('an opening', () => {
  it('uses its one-time prekey up, and begins nothing twice', async () => {
    const [alice, bob] = await two();
    await say(alice.vault, bob.hex, words('first'), 'prefer');
    const [opening] = (await carry(alice, bob)) as [Bytes];
    const left = (await bob.vault.list<PrekeySecret>(PREKEY)).map(({ value }) => value.prekey.kind);
    expect(left).toEqual([1]);
    for (const { key, version } of await bob.vault.list('session'))
      await bob.vault.commit([{ kind: 'session', key, value: null, expected: version }]);
    await expect(hear(bob.vault, bob.identity, opening, NOW)).rejects.toThrow(Replayed);
  });

  it('counts no longer than its prekeys', async () => {
    const [alice, bob] = await two();
    await say(alice.vault, bob.hex, words('late'), 'prefer');
    const payload = (await waiting(alice.vault))[0]?.value.payload ?? zeros(0);
    const late = hear(bob.vault, bob.identity, payload, NOW + 86_400);
    await expect(late).rejects.toThrow(OpeningRefused);
    expect(await bob.vault.list('opening')).toEqual([]);
    await hear(bob.vault, bob.identity, payload, NOW);
  });
});

describe('pad', () => {
  it('is taken from the disk before a message leaves, and erased where it was heard', async () => {
    const [alice, bob] = await two();
    const id = await share(alice, bob, 200);
    await say(alice.vault, bob.hex, words('twelve bytes'), 'require');
    const kept = async ({ vault }: Side) => (await vault.read<PadRecord>(PAD, toHex(id)))?.value;
    const ours = await kept(alice);
    expect(ours && [padLeft(ours), ours.pieces[0]?.offset]).toEqual([156, 44]);
    expect(padLeft((await kept(bob)) as PadRecord)).toBe(184);
    await carry(alice, bob);
    expect((await kept(bob))?.pieces).toEqual(ours?.pieces);
    const [message] = await messages(bob.vault, alice.hex);
    expect(message?.protections).toMatchObject([{ padSource: 'simulated', padBytes: 28 }]);
  });

  it('gives two windows other bytes, however they meet', async () => {
    const [alice, bob] = await two();
    const id = await share(alice, bob, 16 + 40 * 17);
    const window = await side(alice.name);
    const both = [alice.vault, window.vault];
    await Promise.all(both.map((vault) => say(vault, bob.hex, words('a'), 'require')));
    for (let turn = 0; turn < 4; turn += 1)
      await Promise.all(both.map((vault) => say(vault, bob.hex, words('b'), 'require')));
    const left = (await alice.vault.read<PadRecord>(PAD, toHex(id)))?.value;
    expect(left && padLeft(left)).toBe(30 * 17);
    await carry(alice, bob);
    expect(await texts(bob, alice)).toHaveLength(10);
  });

  it('serves in order, goes when nothing is left of it, and is missed', async () => {
    const [alice, bob] = await two();
    const second = await share(alice, bob, 36, 2);
    await share(alice, bob, 36, 1);
    await say(alice.vault, bob.hex, words('four'), 'require');
    const left = await alice.vault.list<PadRecord>(PAD);
    expect(left.map(({ key }) => key)).toEqual([toHex(second)]);
    await expect(say(alice.vault, bob.hex, words('fives'), 'require')).rejects.toThrow(
      PadExhausted,
    );
    expect(await waiting(alice.vault)).toHaveLength(1);
    await say(alice.vault, bob.hex, words('fives'), 'prefer');
    await carry(alice, bob);
    const shown = await messages(bob.vault, alice.hex);
    const said = shown.map(({ protections: [one] }) => one?.padSource);
    expect(said.toSorted()).toEqual(['simulated', null].toSorted());
  });

  it('that is not there yet leaves the message for later', async () => {
    const [alice, bob] = await two();
    const id = await share(alice, bob, 100);
    const [record] = await bob.vault.list<PadRecord>(PAD);
    const gone = { kind: PAD, key: toHex(id) };
    await bob.vault.commit([{ ...gone, value: null, expected: 1 }]);
    await say(alice.vault, bob.hex, words('wait'), 'require');
    const payload = (await waiting(alice.vault))[0]?.value.payload ?? zeros(0);
    const early = hear(bob.vault, bob.identity, payload, NOW);
    await expect(early).rejects.toThrow(PadMissing);
    expect(await bob.vault.list('session')).toEqual([]);
    await bob.vault.commit([{ ...gone, value: record?.value, expected: 0 }]);
    await hear(bob.vault, bob.identity, payload, NOW);
    expect(await texts(bob, alice)).toEqual([['wait', 'heard']]);
  });

  it('is mixed into a step once the peer has shown to have it', async () => {
    const [alice, bob] = await two();
    await share(bob, alice, 300);
    await say(alice.vault, bob.hex, words('hello'), 'off');
    await carry(alice, bob);
    const answer = words('under pad');
    await say(bob.vault, alice.hex, answer, 'require');
    expect((await messages(bob.vault, alice.hex))[1]?.protections[0]?.mixedSource).toBeNull();
    await carry(bob, alice);
    await say(alice.vault, bob.hex, receipt(Kind.delivered, answer.id), 'prefer');
    await say(alice.vault, bob.hex, words('a turn'), 'off');
    await carry(alice, bob);
    const mixed = words('mixed');
    await say(bob.vault, alice.hex, mixed, 'require');
    await carry(bob, alice);
    const heard = await messages(alice.vault, bob.hex);
    const found = heard.find(({ content }) => toHex(content.id) === toHex(mixed.id));
    expect(found?.protections[0]?.mixedSource).toBe('simulated');
  });
});

it('a refusal is shown with the message that it is about', async () => {
  const [alice, bob] = await two();
  const content = words('not taken');
  await say(alice.vault, bob.hex, content, 'prefer');
  await carry(alice, bob);
  await say(bob.vault, alice.hex, receipt(Kind.refused, content.id), 'prefer');
  await carry(bob, alice);
  expect(await texts(alice, bob)).toEqual([['not taken', 'refused']]);
});
