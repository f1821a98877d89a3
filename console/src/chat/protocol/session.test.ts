// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { toHex } from '../../shared/merkle';
import { type Bytes, zeros } from './bytes';
import { Kind, makeContent, PART_BYTES } from './content';
import {
  ChatMisuse,
  EpochUnknown,
  MessageRefused,
  NotAuthentic,
  PadDiffers,
  PadExhausted,
  PadMissing,
  PadSpent,
  PayloadMalformed,
  Replayed,
  TooManySkipped,
} from './errors';
import { MAX_SKIP } from './ratchet';
import { openMessage, STEP_EVERY, sessionOf } from './session';
import { meet, receipt, sharePad, talking, words } from './testing/people';

const flipped = (bytes: Bytes, bit: number) =>
  bytes.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));

describe('pad', () => {
  it('is told with each message, and goes by the text and sixteen bytes alone', async () => {
    const [alice, bob] = await talking(4000);
    const [[id]] = [[...alice.pads.ours.keys()]];
    for (const text of ['', 'five!', 'ü'.repeat(100)]) {
      const before = alice.pads.reached.get(id ?? '') ?? 0;
      const sealed = await alice.seal(words(text));
      const opened = await bob.open(sealed.payload);
      expect(opened.protection).toEqual(sealed.protection);
      const length = new TextEncoder().encode(text).length + 16;
      expect(opened.protection).toMatchObject({ padSource: 'simulated', padBytes: length });
      const { crossed } = sealed.protection;
      expect(crossed?.bytes).toBe(sealed.payload.length);
      expect(toHex(sealed.payload)).toContain(toHex(crossed?.start ?? sealed.payload));
      expect((alice.pads.reached.get(id ?? '') ?? 0) - before).toBe(length);
    }
  });

  it('is not for receipts, nor under the policy `off`', async () => {
    const [alice, bob] = await talking(4000);
    const before = [...alice.pads.reached];
    expect((await bob.open((await alice.seal(receipt())).payload)).protection.padSource).toBeNull();
    alice.policy = 'off';
    expect((await bob.open(await alice.say('plain'))).protection.padSource).toBeNull();
    expect([...alice.pads.reached]).toEqual(before);
  });

  it('is required, or its lack is told', async () => {
    const [alice, bob] = await talking(200);
    const text = 'x'.repeat(200);
    const sealed = await alice.seal(words(text));
    expect(sealed.protection.padSource).toBeNull();
    expect((await bob.open(sealed.payload)).protection.padSource).toBeNull();
    alice.policy = 'require';
    const before = alice.session;
    await expect(alice.say(text)).rejects.toMatchObject({ name: 'PadExhausted', needed: 216 });
    await expect(alice.say(text)).rejects.toThrow(PadExhausted);
    expect(alice.session).toBe(before);
  });

  it('that has not come yet is named, and the message opens with it', async () => {
    const [alice, bob] = await talking();
    const id = sharePad(alice.pads, bob.pads, 1000);
    const pad = bob.pads.theirs.get(id) ?? zeros(0);
    bob.pads.theirs.delete(id);
    const [payload, before] = [await alice.say('wait'), bob.session];
    await expect(bob.open(payload)).rejects.toThrow(PadMissing);
    await expect(bob.open(payload)).rejects.toMatchObject({ contentId: zeros(16).fill(1) });
    expect(bob.session).toBe(before);
    bob.pads.theirs.set(id, pad);
    expect(await bob.hear(payload)).toBe('wait');
  });

  it('that a sender spends again is refused', async () => {
    const [alice, bob] = await talking(4000);
    const places = [...alice.pads.reached];
    await bob.hear(await alice.say('once'));
    for (const [id, at] of places) alice.pads.reached.set(id, at);
    await expect(bob.open(await alice.say('twice'))).rejects.toThrow(PadSpent);
  });

  it.each([0, 16, 32])('that differs at byte %d is noticed by the one-time tag', async (at) => {
    const [alice, bob] = await talking();
    const id = sharePad(alice.pads, bob.pads, 1000);
    const pad = bob.pads.theirs.get(id) ?? zeros(0);
    bob.pads.theirs.set(id, flipped(pad, 8 * at));
    const [payload, before] = [await alice.say('tagged'), bob.session];
    await expect(bob.open(payload)).rejects.toThrow(PadDiffers);
    expect(bob.session).toBe(before);
    bob.pads.theirs.set(id, pad);
    expect(await bob.hear(payload)).toBe('tagged');
  });

  it('that a step mixed in is needed to follow it', async () => {
    const [alice, bob] = await meet(1000);
    const sealed = await bob.seal(words('mixed'));
    expect(sealed.protection.mixedSource).toBe('simulated');
    const [[id, pad] = ['', zeros(0)]] = [...alice.pads.theirs];
    alice.pads.theirs.set(id, flipped(pad, 8 * 16));
    await expect(alice.open(sealed.payload)).rejects.toThrow(NotAuthentic);
    alice.pads.theirs.set(id, pad);
    expect(await alice.hear(sealed.payload)).toBe('mixed');
  });
});

describe('a message', () => {
  it('shows its length in three sizes only', async () => {
    const [alice, bob] = await talking();
    const sizes = new Set<number>();
    for (const length of [0, 1, 300, 500, 3000, PART_BYTES]) {
      const payload = await alice.say('x'.repeat(length));
      sizes.add(payload.length);
      expect(await bob.hear(payload)).toBe('x'.repeat(length));
    }
    expect(sizes).toEqual(new Set([512, 4096, 16_384]));
    await expect(alice.say('x'.repeat(PART_BYTES + 1))).rejects.toThrow(ChatMisuse);
  });

  it('counts once, and does not come back to who sent it', async () => {
    const [alice, bob] = await talking(1000);
    const payload = await alice.say('once');
    await expect(alice.open(payload)).rejects.toThrow(NotAuthentic);
    await bob.hear(payload);
    const before = bob.session;
    await expect(bob.open(payload)).rejects.toThrow(Replayed);
    expect(bob.session).toBe(before);
  });

  it('is opened in any order, also of earlier epochs', async () => {
    const [alice, bob] = await talking(9000);
    const late: Bytes[] = [];
    for (let turn = 0; turn < 5; turn += 1) {
      late.push(await alice.say(`late ${turn}`));
      await bob.hear(await alice.say('now'));
      await alice.hear(await bob.say('answer'));
    }
    for (const turn of [3, 0, 4, 1, 2])
      expect(await bob.hear(late[turn] ?? zeros(0))).toBe(`late ${turn}`);
    for (const each of late) await expect(bob.open(each)).rejects.toThrow(Replayed);
  });

  it('is refused behind more missing ones than are provided for', async () => {
    const [alice, bob] = await talking();
    const { session } = alice;
    const { sending } = session.ratchet;
    if (!sending) throw new Error('expected who has stepped');
    // Numbers alone: nobody has to say so much, and its key is looked for only if it may be.
    const far = (missing: number) => ({
      ...session,
      ratchet: { ...session.ratchet, sending: { ...sending, number: sending.number + missing } },
    });
    alice.session = far(MAX_SKIP + 1);
    await expect(bob.open(await alice.say('too far'))).rejects.toThrow(TooManySkipped);
    alice.session = far(MAX_SKIP);
    await expect(bob.open(await alice.say('as far'))).rejects.toThrow(NotAuthentic);
    alice.session = session;
    const sent = [await alice.say('one'), await alice.say('two'), await alice.say('three')];
    await bob.open(sent[2] ?? zeros(0));
    expect(bob.session.ratchet.skipped.map(({ number }) => number)).toEqual([
      sending.number,
      sending.number + 1,
    ]);
    expect(await bob.hear(sent[0] ?? zeros(0))).toBe('one');
  });

  it('of another size or kind is none', async () => {
    const [alice, bob] = await talking();
    for (const size of [0, 1, 511, 513, 4095, 16_385])
      await expect(bob.open(zeros(size).fill(2))).rejects.toThrow(PayloadMalformed);
    const payload = await alice.say('x');
    for (const kind of [0, 4, 255]) {
      const other = Uint8Array.of(kind, ...payload.slice(1));
      await expect(bob.open(other)).rejects.toThrow(PayloadMalformed);
    }
  });

  it('altered anywhere is refused, and changes nothing', async () => {
    const [alice, bob] = await talking(2000);
    const payload = await alice.say('flip me');
    const before = bob.session;
    for (let bit = 0; bit < 8 * payload.length; bit += 37)
      await expect(bob.open(flipped(payload, bit))).rejects.toThrow(MessageRefused);
    expect(bob.session).toBe(before);
    expect(await bob.hear(payload)).toBe('flip me');
  });

  it('belongs to the session whose key sealed its header', async () => {
    const [alice, bob] = await talking();
    const [carol, dave] = await meet();
    const payload = await alice.say('whose?');
    expect(await sessionOf(payload, [dave.session, bob.session])).toBe(bob.session);
    await expect(sessionOf(payload, [dave.session, carol.session])).rejects.toThrow(NotAuthentic);
  });
});

describe('the ratchet', () => {
  it('repeats a step until the peer has shown that it has it', async () => {
    const [alice, bob] = await talking();
    await alice.hear(await bob.say('a turn'));
    const [lost, kept] = [await alice.say('a step'), await alice.say('the same step')];
    expect([lost.length, kept.length]).toEqual([4096, 4096]);
    expect(await bob.hear(kept)).toBe('the same step');
    await alice.open((await bob.seal(receipt())).payload);
    expect(await alice.say('known by now')).toHaveLength(512);
    expect(await bob.hear(lost)).toBe('a step');
  });

  it('steps for receipts seldom', async () => {
    const [alice, bob] = await talking();
    const epoch = () => bob.session.ratchet.sending?.epoch ?? -1;
    const before = epoch();
    while (bob.session.unstepped < STEP_EVERY) {
      expect(epoch()).toBe(before);
      await bob.open(await alice.say('on and on'));
    }
    await bob.seal(receipt());
    expect(epoch()).toBe(before + 2);
  });

  it('heals: who stole a state knows nothing once both have stepped', async () => {
    const [alice, bob] = await talking();
    const stolen = bob.session;
    const read = await alice.say('still read');
    await openMessage(stolen, read, null);
    await bob.hear(read);
    await alice.hear(await bob.say('fresh'));
    const safe = await alice.say('healed');
    await expect(openMessage(stolen, safe, null)).rejects.toThrow(MessageRefused);
    expect(await bob.hear(safe)).toBe('healed');
    await expect(openMessage(bob.session, read, null)).rejects.toThrow(Replayed);
  });

  it('follows a step only into the epoch that comes next', async () => {
    const [alice, bob] = await talking();
    const old = alice.session;
    await alice.hear(await bob.say('one'));
    await bob.hear(await alice.say('two'));
    const far = await bob.say('three');
    await expect(openMessage(old, far, null)).rejects.toThrow(EpochUnknown);
    expect(await alice.hear(far)).toBe('three');
  });
});

it('a chunk of a file waits until the peer has been heard', async () => {
  const [alice, bob] = await meet();
  const chunk = makeContent({
    kind: Kind.chunk,
    id: zeros(16),
    sentMs: 0,
    text: zeros(12_308),
    target: zeros(16),
  });
  await expect(alice.seal(chunk)).rejects.toThrow(ChatMisuse);
  await alice.hear(await bob.say('heard'));
  await bob.open(await alice.say('and known'));
  await alice.open((await bob.seal(receipt())).payload);
  expect((await bob.open((await alice.seal(chunk)).payload)).content.text).toHaveLength(12_308);
});
