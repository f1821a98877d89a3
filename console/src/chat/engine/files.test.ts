// @vitest-environment node
import 'fake-indexeddb/auto';
import { describe, expect, it, vi } from 'vitest';
import { toHex } from '../../shared/merkle';
import { type Bytes, zeros } from '../protocol/bytes';
import { Kind, makeContent } from '../protocol/content';
import { ChatMisuse } from '../protocol/errors';
import { askText, CHUNK_BYTES, MAX_FILE_BYTES } from '../protocol/file';
import { type FileRecord, fileKey } from '../state/files';
import { begins } from '../state/talk';
import { type FileShown, placeOf } from './files';
import { ModelLink } from './testing/keys';
import { ModelRelay } from './testing/relay';
import { conversation, type Side, side, two, until } from './testing/sides';

/** The last chunk is a short one. */
const CHUNKS = 7;
const SIZE = (CHUNKS - 1) * CHUNK_BYTES + 7;

/** Bytes that are the same nowhere near. */
function made(): Bytes {
  const words = Uint32Array.from({ length: Math.ceil(SIZE / 4) }, (_, at) => at * 0x9e37_79b1);
  return new Uint8Array(words.buffer).slice(0, SIZE);
}

/** The only file of the only conversation. */
const fileOf = (one: Side): FileShown | undefined => [...conversation(one).files.values()][0];
const stateOf = (one: Side) => fileOf(one)?.state;
const idOf = (one: Side): Bytes => fileOf(one)?.id ?? zeros(16);
const pieces = (one: Side, ours: boolean) =>
  one.vault.countPieces(fileKey(one.peer, idOf(one), ours));

async function bytesAt(one: Side): Promise<Bytes> {
  const blob = await one.chat.files.blob(one.peer, idOf(one), false);
  return new Uint8Array(await blob.arrayBuffer());
}

/** What has not come for long is asked for again. */
async function later(one: Side): Promise<void> {
  await one.chat.files.mind();
  const now = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 31_000);
  await one.chat.files.mind();
  now.mockRestore();
}

/** Alice sends, and Bob's window is closed with some of it there. */
async function halfway(relay: ModelRelay) {
  const [alice, bob] = await two(relay);
  relay.largestAtOnce = CHUNKS - 2;
  await alice.chat.attach(alice.peer, 'counts.bin', new Blob([made()]));
  await until(() => expect(stateOf(bob)).toBe('coming'));
  await vi.waitUntil(async () => (await pieces(bob, false)) > 0, { timeout: 300_000 });
  bob.close();
  relay.largestAtOnce = Number.POSITIVE_INFINITY;
  return [alice, bob] as const;
}

describe('a file that is larger than a message', () => {
  it('comes in chunks, and its key alone is under pad', async () => {
    const [alice, bob] = await two(new ModelRelay(), new ModelLink());
    await alice.chat.attach(alice.peer, '../counts.bin', new Blob([made()]));
    await until(() => expect([stateOf(alice), stateOf(bob)]).toEqual(['whole', 'whole']));
    expect(await bytesAt(bob)).toEqual(made());
    const [said] = conversation(bob).messages;
    expect(said?.protections.map(({ padSource }) => padSource)).toEqual(['simulated']);
    expect(fileOf(bob)).toMatchObject({ name: 'counts.bin', size: SIZE, done: SIZE });
    expect(conversation(bob).files.has(placeOf(said?.content.id ?? zeros(16), false))).toBe(true);
    expect([await pieces(alice, true), await pieces(bob, false)]).toEqual([0, CHUNKS]);
    await bob.chat.files.remove(bob.peer, idOf(bob), false);
    expect([stateOf(bob), await pieces(bob, false)]).toEqual(['removed', 0]);
    await expect(bytesAt(bob)).rejects.toThrow(ChatMisuse);
  });

  it('goes on where it was, when the window is opened again', async () => {
    const relay = new ModelRelay();
    const [, bob] = await halfway(relay);
    const again = await side(relay, 'bob', { place: bob.place });
    again.peer = bob.peer;
    await until(() => expect(stateOf(again)).toBe('whole'));
    expect(await bytesAt(again)).toEqual(made());
  });

  it('waits where its sender has met the other anew, and is not heard there yet', async () => {
    const relay = new ModelRelay();
    const [alice, bob] = await two(relay);
    const link = await bob.chat.invite();
    bob.close();
    await alice.chat.attach(alice.peer, 'counts.bin', new Blob([made()]));
    await alice.chat.add(link);
    const about = { kind: Kind.ask, id: zeros(16), sentMs: 1, target: idOf(alice) };
    const asked = makeContent({ ...about, text: askText([[0, CHUNKS]]) });
    await alice.chat.files.came(alice.peer, asked);
    const again = await side(relay, 'bob', { place: bob.place });
    again.peer = bob.peer;
    await until(async () => expect(await begins(alice.vault, alice.peer)).toBe(false));
    await until(() => expect(stateOf(again)).toBeDefined());
    await later(again);
    await until(() => expect(stateOf(again)).toBe('whole'));
    expect(await bytesAt(again)).toEqual(made());
  });

  it('is asked for again where the relay has lost some of it', async () => {
    const relay = new ModelRelay();
    const [alice, bob] = await halfway(relay);
    for (const { kept } of relay.boxes.values()) kept.clear();
    const again = await side(relay, 'bob', { place: bob.place });
    again.peer = bob.peer;
    await later(again);
    await until(() => expect([stateOf(alice), stateOf(again)]).toEqual(['whole', 'whole']));
    expect(await bytesAt(again)).toEqual(made());
  });

  it.each([
    ['who sends it', true],
    ['who gets it', false],
  ])('is called off by %s, for both', async (_, ours) => {
    const relay = new ModelRelay();
    const [alice, bob] = await two(relay);
    const chunks = vi.spyOn(alice.vault, 'pieces').mockResolvedValue([]); // none is given
    await alice.chat.attach(alice.peer, 'counts.bin', new Blob([made()]));
    await until(() => expect([stateOf(alice), stateOf(bob)]).toEqual(['coming', 'coming']));
    await until(() => expect(chunks).toHaveBeenCalled());
    const who = ours ? alice : bob;
    await who.chat.files.cancel(who.peer, idOf(who), ours);
    await until(() => expect([stateOf(alice), stateOf(bob)]).toEqual(['stopped', 'stopped']));
    expect([await pieces(alice, true), await pieces(bob, false)]).toEqual([0, 0]);
  });

  it('does not count unless it is what its sender hashed', async () => {
    const relay = new ModelRelay();
    const [alice, bob] = await halfway(relay);
    const again = await side(new ModelRelay(), 'bob', { place: bob.place });
    const found = await again.vault.read<FileRecord>('file', fileKey(bob.peer, idOf(bob), false));
    if (!found) throw new Error('expected a file');
    const about = { ...found.value.about, sha256: zeros(32) };
    const value = { ...found.value, about };
    const { key, version: expected } = found;
    await again.vault.commit([{ kind: 'file', key, value, expected }]);
    again.close();
    const last = await side(relay, 'bob', { place: bob.place });
    await until(() => expect([stateOf(alice), stateOf(last)]).toEqual(['stopped', 'stopped']));
  });

  it('goes when its message is taken back, at both', async () => {
    const [alice, bob] = await two(new ModelRelay());
    await alice.chat.attach(alice.peer, 'counts.bin', new Blob([made()]));
    await until(() => expect(stateOf(bob)).toBe('whole'));
    const place = fileKey(bob.peer, idOf(bob), false);
    await alice.chat.sayOf(alice.peer, 4, idOf(alice));
    await until(() => expect(conversation(bob).messages[0]?.deleted).toBe(true));
    await bob.chat.files.mind();
    expect(conversation(bob).files.size).toBe(0);
    expect(await bob.vault.countPieces(place)).toBe(0);
  });

  it('is not sent where it is too large, cannot be read, or is called off at once', async () => {
    const [alice, bob] = await two(new ModelRelay());
    const huge = { size: MAX_FILE_BYTES + 1 } as Blob;
    await expect(alice.chat.attach(alice.peer, 'x', huge)).rejects.toThrow(ChatMisuse);
    const gone = new Blob([made()]);
    const error = new DOMException('it has changed', 'NotReadableError');
    gone.slice = () => ({ arrayBuffer: () => Promise.reject(error) }) as unknown as Blob;
    await expect(alice.chat.attach(alice.peer, 'x', gone)).rejects.toThrow('cannot be read');
    let letGo = () => {};
    const held = new Promise<ArrayBuffer>((done) => {
      letGo = () => done(made().buffer);
    });
    const slow = new Blob([made()]);
    slow.slice = () => ({ arrayBuffer: () => held }) as unknown as Blob;
    const going = alice.chat.attach(alice.peer, 'x', slow);
    await until(() => expect(stateOf(alice)).toBe('preparing'));
    await alice.chat.files.cancel(alice.peer, idOf(alice), true);
    letGo();
    await going;
    expect(conversation(alice).files.size).toBe(0);
    expect([alice.lines(), bob.lines()]).toEqual([[], []]);
  });

  it('that was not sealed to its end, when the page was closed, is forgotten', async () => {
    const alice = await side(new ModelRelay(), 'alice');
    const id = zeros(16).fill(5);
    const about = { key: zeros(32), sha256: zeros(32), size: SIZE, name: 'x' };
    const peer = toHex(zeros(32));
    const value: FileRecord = {
      peer,
      ours: true,
      id,
      state: 'preparing',
      about,
      asked: 0,
      came: 0,
    };
    const place = fileKey(peer, id, true);
    await alice.vault.commit([{ kind: 'file', key: place, value, expected: 0 }]);
    await alice.vault.putPieces(place, [[0, zeros(9)]]);
    alice.close();
    const again = await side(new ModelRelay(), 'alice', { place: alice.place });
    expect(await again.vault.read('file', place)).toBeNull();
    expect(await again.vault.countPieces(place)).toBe(0);
  });
});
