// @vitest-environment node
import 'fake-indexeddb/auto';
import { describe, expect, it, vi } from 'vitest';
import { LinkRefused } from '../protocol/errors';
import { CHUNK_BYTES } from '../protocol/file';
import { PAD, type PadRecord } from '../state/pads';
import { ModelAccounts } from './testing/accounts';
import { ModelLink } from './testing/keys';
import { ModelRelay } from './testing/relay';
import { conversation, type Side, side, two, until } from './testing/sides';

const PASSWORD = 'seven words that nobody would draw';

/** What is kept of a way between two. */
async function ways({ vault }: Side): Promise<Record<string, number>> {
  const kinds = ['session', 'pad', 'offer', 'outbox', 'part', 'standing mailbox'];
  const all = await Promise.all(kinds.map(async (kind) => [kind, (await vault.list(kind)).length]));
  return Object.fromEntries(all.filter(([, many]) => many !== 0));
}

const wordsOf = ({ chat }: Side) =>
  chat
    .view()
    .groups.flatMap(({ messages }) => messages)
    .map(({ content }) => new TextDecoder().decode(content.text));

describe('a contact who is blocked', () => {
  it('is heard no more and told nothing, and what was said stays', async () => {
    const [relay, link] = [new ModelRelay(), new ModelLink()];
    const [alice, bob] = await two(relay, link);
    await bob.chat.say(bob.peer, 'from bob');
    await until(() => expect(alice.lines()).toHaveLength(1));
    await alice.chat.set(alice.peer, { mode: 'pool', isVerified: true });
    await alice.chat.say(alice.peer, 'under pad');
    await until(() => expect(alice.lines().at(-1)?.[2]).toBe('delivered'));
    expect(conversation(alice).padLeft).toBeGreaterThan(0);
    relay.turn(false);
    await alice.chat.say(alice.peer, 'has not left');
    await until(() => expect(alice.lines().at(-1)?.[2]).toBe('waiting'));
    expect(conversation(alice).isHere).toBe(true);

    await alice.chat.requests.block(alice.peer);
    const said = [
      ['from bob', false, 'answered'],
      ['under pad', true, 'delivered'],
      ['has not left', true, 'withheld'],
    ];
    expect(alice.lines()).toEqual(said);
    // His mailbox is to be closed, and nothing else is left of a way to him.
    expect(await ways(alice)).toEqual({ 'standing mailbox': 1 });
    const gone = { isMet: false, isBlocked: true, isHere: false, padLeft: 0 };
    expect(conversation(alice)).toMatchObject(gone);
    expect(alice.chat.view().strange.blocked).toMatchObject([{ peer: alice.peer, name: 'bob' }]);
    await expect(alice.chat.say(alice.peer, 'more')).rejects.toThrow('exchange contact links');

    const before = relay.boxes.size;
    relay.turn(true);
    await until(() => expect(relay.boxes.size).toBe(before - 1));
    await until(async () => expect(await ways(alice)).toEqual({}));
    await bob.chat.say(bob.peer, 'to nobody');
    await until(() => expect(conversation(bob).trouble).toBe('refused'));
    await alice.chat.read(alice.peer); // he is not told
    expect(conversation(alice).unread).toBe(0);
    expect(await ways(alice)).toEqual({});
    await alice.chat.requests.block(alice.peer); // again is harmless
    alice.close();
    const again = await side(relay, 'alice', { place: alice.place });
    expect(again.lines().map(([text]) => text)).toEqual(said.map(([text]) => text));
    expect(conversation(again)).toMatchObject({ isMet: false, isBlocked: true });
    expect(conversation(again).contact.isVerified).toBe(true);
    await expect(again.chat.requests.block('00'.repeat(32))).rejects.toThrow('who waits');
  });

  it('begins anew by a link once unblocked, and not before', async () => {
    const relay = new ModelRelay();
    const [alice, bob] = await two(relay);
    await alice.chat.rename(alice.peer, 'a former friend');
    await alice.chat.requests.block(alice.peer);
    await bob.chat.add(await alice.chat.invite());
    await until(() => expect(alice.chat.view().unshown).toBeGreaterThan(0));
    expect(conversation(alice).isMet).toBe(false);
    const his = await bob.chat.invite();
    await expect(alice.chat.add(his)).rejects.toThrow('you have blocked them');
    await alice.chat.requests.unblock(alice.peer);
    expect(conversation(alice)).toMatchObject({ isMet: false, isBlocked: false });
    await bob.chat.add(await alice.chat.invite());
    await until(() => expect(conversation(alice).isMet).toBe(true));
    await until(() => expect(conversation(alice).contact.card).toBeTruthy());
    await alice.chat.say(alice.peer, 'once more');
    await until(() => expect(bob.lines().map(([text]) => text)).toEqual(['once more']));
    await bob.chat.say(bob.peer, 'thanks');
    await until(() => expect(alice.lines().map(([text]) => text)).toContain('thanks'));
    expect(conversation(alice).contact.name).toBe('a former friend');
  });

  it('gets by either link what has not left meanwhile, once', async () => {
    for (const isMade of ['by who was blocked', 'by who blocked']) {
      const [relay, link] = [new ModelRelay(), new ModelLink()];
      const [alice, bob] = await two(relay, link);
      await bob.chat.set(bob.peer, { mode: 'pool' });
      await bob.chat.say(bob.peer, 'before');
      await until(() => expect(bob.lines().at(-1)?.[2]).toBe('delivered'));
      await alice.chat.requests.block(alice.peer);
      await bob.chat.say(bob.peer, 'to a closed mailbox');
      await until(() => expect(conversation(bob).trouble).toBe('refused'));
      await alice.chat.requests.unblock(alice.peer);
      const [maker, user] = isMade === 'by who blocked' ? [alice, bob] : [bob, alice];
      await user.chat.add(await maker.chat.invite());
      await until(() => expect(conversation(alice).isMet).toBe(true));
      await alice.chat.say(alice.peer, 'heard again');
      await bob.chat.say(bob.peer, 'at last');
      const all = ['before', 'to a closed mailbox', 'heard again', 'at last'];
      for (const one of [alice, bob])
        await until(() => {
          expect(
            one
              .lines()
              .map(([text]) => text)
              .toSorted(),
          ).toEqual(all.toSorted());
          const ours = one.lines().filter(([, isOurs]) => isOurs);
          expect(ours.map(([, , state]) => state)).toEqual(ours.map(() => 'delivered'));
        });
      // The pad that he drew before is given up with the session: she has it no more.
      const pads = await bob.vault.list<PadRecord>(PAD);
      expect(pads.filter(({ value }) => value.ours)).toHaveLength(1);
      expect([alice, bob].map(({ chat }) => chat.view().unshown)).toEqual([0, 0]);
    }
  });

  it('uses a link once: again it changes nothing, and brings nobody back', async () => {
    const relay = new ModelRelay();
    const [alice, bob] = await two(relay);
    const link = await alice.chat.invite();
    for (let times = 0; times < 2; times += 1) expect(await bob.chat.add(link)).toBe(bob.peer);
    await bob.chat.say(bob.peer, 'by a used link');
    await until(() => expect(alice.lines().map(([text]) => text)).toEqual(['by a used link']));
    await bob.chat.requests.block(bob.peer);
    await bob.chat.requests.unblock(bob.peer);
    await expect(bob.chat.add(link)).rejects.toThrow(LinkRefused);
    await bob.chat.add(await alice.chat.invite());
    await bob.chat.say(bob.peer, 'by another');
    await until(() => expect(alice.lines()).toHaveLength(2));
  });

  it('writes to the handle once unblocked, as the contact they were, and gets a mailbox', async () => {
    const relay = new ModelRelay();
    await ModelAccounts.at(relay);
    const [alice, bob] = await two(relay);
    await alice.chat.handle.signUp('alice1', PASSWORD, '');
    await until(() => expect(alice.chat.view().handle?.published).toBe('there'));
    await alice.chat.requests.block(alice.peer);
    await bob.chat.say(await bob.chat.addHandle('alice1'), 'not heard');
    // His card, and his words: until he is answered, either begins the session.
    await until(() => expect(alice.chat.view().strange.rubbish).toBe(2));
    expect([alice.lines(), conversation(alice).isMet]).toEqual([[], false]);
    await alice.chat.requests.unblock(alice.peer);
    await bob.chat.say(await bob.chat.addHandle('alice1'), 'heard');
    const heard = ['heard', 'not heard'];
    await until(() =>
      expect(
        alice
          .lines()
          .map(([text]) => text)
          .toSorted(),
      ).toEqual(heard),
    );
    expect(alice.chat.view().strange.requests).toEqual([]);
    const right = () => conversation(alice).contact.boxes[0]?.right;
    await until(() => expect(right()).toBeDefined());
    await until(() => expect(conversation(bob).contact.card?.right).toEqual(right()));
    await bob.chat.say(bob.peer, 'by a mailbox of his own');
    await until(() => expect(alice.lines()).toHaveLength(3));
  });

  it('gets nothing of what was under way', async () => {
    const [relay, link] = [new ModelRelay(), new ModelLink()];
    const [alice, bob] = await two(relay, link);
    const pieces = vi.spyOn(alice.vault, 'pieces').mockResolvedValue([]); // none is given
    const file = new Blob([new Uint8Array(8 * CHUNK_BYTES)]);
    await alice.chat.attach(alice.peer, 'eight.bin', file);
    await until(() => expect(pieces).toHaveBeenCalled());
    const states = (one: Side) => [...conversation(one).files.values()].map(({ state }) => state);
    expect(states(alice)).toEqual(['coming']);
    link.whileMaking = async () => {
      link.whileMaking = async () => {};
      await alice.chat.requests.block(alice.peer);
    };
    await alice.chat.say(alice.peer, 'its session is under way');
    await until(() => expect(alice.lines().at(-1)?.[2]).toBe('withheld'));
    expect(states(alice)).toEqual(['stopped']);
    const [kept] = await alice.vault.list('file');
    expect(await alice.vault.countPieces(kept?.key ?? '')).toBe(0);
    // What he asks for, and what falls due here, finds nobody to tell.
    await bob.chat.files.mind();
    await alice.chat.files.mind();
    const nothing = { making: null, halt: null };
    await until(() => expect(conversation(alice).standing).toMatchObject(nothing));
    await until(async () => expect(await ways(alice)).toEqual({}));
    expect(bob.lines()).toHaveLength(1);
  });

  it('hears nothing of a group either, whose others go on', async () => {
    const relay = new ModelRelay();
    const [alice, bob] = await two(relay);
    const carol = await side(relay, 'carol');
    const hers = await alice.chat.add(await carol.chat.invite());
    await until(() => expect(carol.chat.view().conversations).toHaveLength(1));
    const group = await alice.chat.groups.new('three', [alice.peer, hers]);
    for (const one of [bob, carol])
      await until(() => {
        expect(one.chat.view().groups).toHaveLength(1);
        const cards = one.chat.view().conversations.map(({ contact }) => contact.card);
        expect(cards.filter((card) => card !== null)).toHaveLength(2);
      });
    await alice.chat.requests.block(alice.peer);
    await alice.chat.groups.say(group, 'without him');
    await until(() => expect(wordsOf(carol)).toEqual(['without him']));
    await bob.chat.groups.say(group, 'to a closed mailbox');
    await until(() => expect(wordsOf(carol)).toContain('to a closed mailbox'));
    await carol.chat.groups.say(group, 'to both');
    await until(() => expect(wordsOf(alice)).toContain('to both'));
    expect(wordsOf(alice)).not.toContain('to a closed mailbox');
    expect(wordsOf(bob)).not.toContain('without him');
    const [talk] = alice.chat.view().groups;
    const his = talk?.members.find(({ peer }) => peer === alice.peer);
    expect(his).toMatchObject({ name: 'bob', isReachable: false });
  });
});
