// @vitest-environment node
import 'fake-indexeddb/auto';
import { describe, expect, it, vi } from 'vitest';
import { toHex } from '../../shared/merkle';
import { zeros } from '../protocol/bytes';
import { type Content, Kind } from '../protocol/content';
import { ChatMisuse, LinkRefused } from '../protocol/errors';
import { contacts } from '../state/contacts';
import { messagesOf, recordOf, type SessionNow } from '../state/talk';
import { ModelLink } from './testing/keys';
import { holds, ModelRelay } from './testing/relay';
import { conversation, type Side, side, two, until } from './testing/sides';

const standing = (one: Side) => conversation(one).standing;

describe('two people', () => {
  it('talk by a link, and see how far it came', async () => {
    const relay = new ModelRelay();
    const [alice, bob] = await two(relay);
    expect(alice.chat.view().conversations[0]?.contact.name).toBe('bob');
    expect(bob.chat.view().conversations[0]?.contact.name).toBe('alice');
    await alice.chat.say(alice.peer, 'guten Tag ½');
    await until(() => expect(bob.lines()).toEqual([['guten Tag ½', false, 'answered']]));
    await until(() => expect(alice.lines()).toEqual([['guten Tag ½', true, 'delivered']]));
    expect(bob.chat.view().conversations[0]?.unread).toBe(1);
    expect(holds(relay, 'guten Tag')).toBe(false);
    await bob.chat.read(bob.peer);
    await bob.chat.say(bob.peer, 'ja');
    await until(() => expect(alice.lines().map(([text]) => text)).toEqual(['guten Tag ½', 'ja']));
    await until(() => expect(alice.lines()[0]?.[2]).toBe('read'));
    expect(bob.chat.view().conversations[0]?.unread).toBe(0);
    expect(await alice.chat.safety(alice.peer)).toBe(await bob.chat.safety(bob.peer));
  });

  it('lose nothing, and hear nothing twice, whatever the relay and the window do', async () => {
    const relay = new ModelRelay();
    relay.isForgetful = false; // it brings everything again
    const [alice, bob] = await two(relay);
    relay.turn(false);
    await alice.chat.say(alice.peer, 'while it is away');
    await until(() => expect(alice.chat.view().conversations[0]?.trouble).toBe('no relay'));
    expect(alice.lines()).toEqual([['while it is away', true, 'waiting']]);
    alice.close();
    const again = await side(relay, 'alice', { place: alice.place });
    expect(again.lines()).toEqual([['while it is away', true, 'waiting']]);
    relay.turn(true);
    await until(() => expect(bob.lines()).toEqual([['while it is away', false, 'answered']]));
    relay.turn(true);
    await again.chat.say(again.peer, 'and afterwards');
    await until(() => expect(bob.lines()).toHaveLength(2));
    await until(() =>
      expect(again.lines().map((each) => each[2])).toEqual(['delivered', 'delivered']),
    );
    expect(bob.chat.view().unshown).toBe(0);
    expect(again.chat.view().conversations[0]?.trouble).toBeNull();
  });

  it('send also what is said while it is looked what waits', async () => {
    const [alice, bob] = await two(new ModelRelay());
    const list = alice.vault.list.bind(alice.vault);
    let letGo = () => {};
    const going = new Promise<void>((done) => {
      letGo = done;
    });
    let looks = 0;
    const spy = vi.spyOn(alice.vault, 'list').mockImplementation(async (kind) => {
      const isFirst = kind === messagesOf(alice.peer) && looks++ === 0;
      const found = await list(kind);
      if (isFirst) await going;
      return found as never;
    });
    alice.chat.resend(alice.peer);
    await until(() => expect(looks).toBe(1));
    await alice.chat.say(alice.peer, 'meanwhile');
    letGo();
    await until(() => expect(bob.lines().map(([text]) => text)).toEqual(['meanwhile']));
    spy.mockRestore();
  });

  it('keep what wants a pad until it may go without', async () => {
    const [alice, bob] = await two(new ModelRelay());
    await alice.chat.set(alice.peer, { policy: 'require' });
    await alice.chat.say(alice.peer, 'under pad alone');
    await until(() => expect(standing(alice).halt).toBe('no pad'));
    expect(alice.lines()).toEqual([['under pad alone', true, 'unsent']]);
    await alice.chat.set(alice.peer, { policy: 'prefer' });
    await until(() => expect(bob.lines()).toEqual([['under pad alone', false, 'answered']]));
  });

  it('do not take without pad what they want under pad alone', async () => {
    const [alice, bob] = await two(new ModelRelay());
    await bob.chat.set(bob.peer, { policy: 'require' });
    await alice.chat.say(alice.peer, 'without pad');
    await until(() => expect(alice.lines()).toEqual([['without pad', true, 'refused']]));
    expect(bob.lines()).toEqual([]);
    expect(bob.chat.view().unshown).toBe(1);
    await bob.chat.set(bob.peer, { policy: 'prefer' });
    await alice.chat.say(alice.peer, 'once more');
    await until(() => expect(bob.lines()).toEqual([['once more', false, 'answered']]));
  });

  it('say why it waits where the console reaches another relay', async () => {
    const relay = new ModelRelay();
    const bob = await side(relay, 'bob');
    const alice = await side(relay, 'alice', { relays: ['ws://127.0.0.1:1'] });
    alice.peer = await alice.chat.add(await bob.chat.invite());
    await until(() => expect(alice.chat.view().conversations[0]?.trouble).toBe('other relay'));
  });

  it('call each other what they like, by names that tell them apart', async () => {
    const relay = new ModelRelay();
    const [alice, bob] = await two(relay);
    const carol = await side(relay, 'carol');
    await alice.chat.add(await carol.chat.invite());
    const named = (peer: string) =>
      alice.chat.view().conversations.find((each) => each.peer === peer)?.contact.name;
    await alice.chat.rename(alice.peer, ' Бо́б of the laboratory ');
    expect(named(alice.peer)).toBe('Бо́б of the laboratory');
    for (const bad of ['  ', 'ü'.repeat(121), 'two\nlines', 'turned \u202e around'])
      await expect(alice.chat.rename(alice.peer, bad)).rejects.toThrow('characters that print');
    await expect(alice.chat.rename(alice.peer, 'CAROL')).rejects.toThrow('tells them apart');
    await alice.chat.rename(alice.peer, 'ü'.repeat(120));
    await alice.chat.rename(alice.peer, 'Ü'.repeat(120));
    await expect(alice.chat.rename('00'.repeat(32), 'nobody')).rejects.toThrow('a stranger');
    // What they say of themselves later changes nothing, and nobody else sees it.
    await bob.chat.say(bob.peer, 'who am I');
    await until(() => expect(alice.lines()).toHaveLength(1));
    expect(named(alice.peer)).toBe('Ü'.repeat(120));
    expect(bob.chat.view().conversations[0]?.contact.name).toBe('alice');
    alice.close();
    const again = await side(relay, 'alice', { place: alice.place });
    const names = again.chat.view().conversations.map(({ contact }) => contact.name);
    expect(names.toSorted()).toEqual(['carol', 'Ü'.repeat(120)]);
  });

  it('edit, take back, and let disappear what they said', async () => {
    const [alice, bob] = await two(new ModelRelay());
    await alice.chat.say(alice.peer, 'first');
    await alice.chat.say(alice.peer, 'second');
    await until(() => expect(bob.lines()).toHaveLength(2));
    const [first, second] = alice.chat.view().conversations[0]?.messages ?? [];
    const [a, b] = [first?.content.id as Content['id'], second?.content.id as Content['id']];
    await alice.chat.sayOf(alice.peer, Kind.edit, a, '1st');
    await alice.chat.sayOf(alice.peer, Kind.delete, b);
    await until(() => expect(alice.lines().map(([text]) => text)).toEqual(['1st', '']));
    await alice.chat.setTimer(alice.peer, 1);
    await alice.chat.say(alice.peer, 'gone at once');
    await until(() => expect(conversation(bob).contact.timerS).toBe(1));
    await alice.chat.setTimer(alice.peer, 0);
    await alice.chat.say(alice.peer, 'stays');
    const heard = () => bob.lines().map(([text]) => text);
    await until(() => expect(heard()).toEqual(['1st', '', 'gone at once', 'stays']));
    expect(conversation(bob).messages[1]?.deleted).toBe(true);
    await bob.chat.read(bob.peer);
    await until(() => expect(heard()).not.toContain('gone at once'));
    expect(heard()).toContain('stays');
  });
});

describe('under pad', () => {
  const sources = (one: Side) =>
    one.chat
      .view()
      .conversations.flatMap(({ messages }) => messages)
      .map(({ protections }) => protections.map(({ padSource }) => padSource));

  it('people talk, each under pads of their own, which are drawn as they are needed', async () => {
    const link = new ModelLink();
    const [alice, bob] = await two(new ModelRelay(), link);
    await alice.chat.set(alice.peer, { mode: 'pool', policy: 'require' });
    await bob.chat.set(bob.peer, { mode: 'pool', policy: 'require' });
    await alice.chat.say(alice.peer, 'under pad');
    await alice.chat.say(alice.peer, 'x'.repeat(9000));
    await until(() => expect(bob.lines().map((each) => each[2])).toEqual(['answered', 'answered']));
    await bob.chat.say(bob.peer, 'back');
    await until(() => expect(alice.lines()[2]?.[0]).toBe('back'));
    expect(sources(bob)).toEqual([['simulated'], ['simulated', 'simulated'], ['simulated']]);
    expect(alice.chat.view().conversations[0]?.padLeft).toBeGreaterThan(0);
    expect(link.given.size).toBe(0); // each was fetched, once
  });

  it('it waits for keys that come later, and is told of those that never come', async () => {
    const link = new ModelLink();
    const [alice, bob] = await two(new ModelRelay(), link);
    await alice.chat.set(alice.peer, { mode: 'pool' });
    link.isAway = true;
    await alice.chat.say(alice.peer, 'no key now');
    await until(() => expect(bob.lines()).toHaveLength(1));
    expect(sources(bob)).toEqual([[null]]);
    link.isAway = false;
    link.losesNext = true;
    await alice.chat.say(alice.peer, 'lost, and again');
    await until(() => expect(bob.lines().map(([text]) => text)).toContain('lost, and again'));
    expect(sources(bob).at(-1)).toEqual(['simulated']);
    await until(() => expect(alice.lines().at(-1)?.[2]).toBe('delivered'));
  });
});

const UNDER_WAY: SessionNow = {
  session: '00000000-0000-4000-8000-000000000001',
  probe: false,
  step: 'slots',
  steps: [{ step: 'opening', ms: 1 }],
  pairs: 150_000,
  coincidences: 0,
  sifted_bits: 0,
  test_pairs: 0,
  s: null,
  qber: null,
  leaked_bits: 0,
  public_bytes: 70,
};

describe('with a session for each message', () => {
  /** What the session of each message measured, as one side knows it. */
  const measured = (one: Side) =>
    conversation(one).messages.map((message) => recordOf(message, conversation(one).records)?.s);

  it('people talk, and both know what each of them measured', async () => {
    const link = new ModelLink();
    const [alice, bob] = await two(new ModelRelay(), link);
    await alice.chat.say(alice.peer, 'first');
    await alice.chat.say(alice.peer, 'x'.repeat(9000));
    await until(() => expect(bob.lines().map((each) => each[2])).toEqual(['answered', 'answered']));
    await bob.chat.say(bob.peer, 'back');
    await until(() => expect(measured(alice)).toEqual([2.72, 2.72, 2.72]));
    expect(measured(bob)).toEqual([2.72, 2.72, 2.72]);
    expect(link.sessions.size).toBe(0); // four, each fetched once
    expect(conversation(alice).padLeft).toBe(0);
  });

  it('shows how the session of a message goes on, and of no other', async () => {
    const [relay, link] = [new ModelRelay(), new ModelLink()];
    const [alice] = await two(relay, link);
    const seen: unknown[] = [];
    link.whileMaking = async (mark) => {
      for (const now of [UNDER_WAY, { ...UNDER_WAY, step: 'test', s: 2.72 }]) {
        relay.tell('of somebody else', { ...now, s: 1 });
        relay.tell(mark, now);
        const { making, session } = standing(alice);
        seen.push([making, session?.step, session?.s]);
      }
    };
    await alice.chat.say(alice.peer, 'first');
    await until(() => expect(alice.lines()[0]?.[2]).toBe('delivered'));
    const id = toHex(conversation(alice).messages[0]?.content.id ?? zeros(16));
    expect(seen).toEqual([
      [id, 'slots', null],
      [id, 'test', 2.72],
    ]);
    expect(standing(alice)).toMatchObject({ making: null, halt: null, session: null });
  });

  it('Eve stops what is said, both are told, and it goes by itself once she has left', async () => {
    const link = new ModelLink();
    const [alice, bob] = await two(new ModelRelay(), link);
    link.isEveThere = true;
    await alice.chat.say(alice.peer, 'kept');
    await alice.chat.say(alice.peer, 'behind it');
    await until(() => expect(standing(alice).halt).toBe('aborted'));
    await until(() => expect(conversation(bob).warning?.record?.s).toBe(1.36));
    expect(conversation(alice).messages[0]?.aborted?.qber).toBe(0.14);
    expect(bob.lines()).toEqual([]);
    alice.close();
    const again = await side(new ModelRelay(), 'alice', {
      place: alice.place,
      keys: link.at('pages-a'),
    });
    expect(again.lines().map((each) => each[2])).toEqual(['unsent', 'unsent']);
  });

  it('what was stopped arrives in its order, and what was lost is made anew', async () => {
    const link = new ModelLink();
    const [alice, bob] = await two(new ModelRelay(), link);
    link.isEveThere = true;
    await alice.chat.say(alice.peer, 'kept');
    await alice.chat.say(alice.peer, 'behind it');
    await until(() => expect(conversation(bob).warning).not.toBeNull());
    link.isEveThere = false;
    link.losesNext = true;
    alice.chat.resend(alice.peer);
    await until(() =>
      expect(alice.lines().map((each) => each[2])).toEqual(['delivered', 'delivered']),
    );
    expect(bob.lines().map(([text]) => text)).toEqual(['kept', 'behind it']);
    expect(standing(alice)).toMatchObject({ making: null, halt: null, session: null });
    expect(conversation(bob).warning).toBeNull();
    expect(conversation(alice).messages[0]?.aborted).toBeUndefined();
  });

  it('nothing goes while the link is red; without sessions, stock and policy decide', async () => {
    const link = new ModelLink();
    const [alice, bob] = await two(new ModelRelay(), link);
    link.isAway = true;
    link.isRed = true;
    await alice.chat.say(alice.peer, 'not while it is red');
    await until(() => expect(standing(alice).halt).toBe('red'));
    link.isRed = false;
    alice.chat.resend(alice.peer);
    await until(() => expect(bob.lines()).toEqual([['not while it is red', false, 'answered']]));
    expect(conversation(bob).messages[0]?.protections[0]?.padSource).toBeNull();
  });

  it('a file comes whole, under a pad for each of its parts', async () => {
    const [alice, bob] = await two(new ModelRelay(), new ModelLink());
    const bytes = crypto.getRandomValues(new Uint8Array(20_000));
    await alice.chat.attach(alice.peer, 'counts.bin', new Blob([bytes]));
    await until(() => expect(conversation(bob).messages).toHaveLength(1));
    const [came] = conversation(bob).messages;
    expect(came?.content.text.slice(1 + 'counts.bin'.length)).toEqual(bytes);
    expect(came?.protections.map((each) => each.padSource)).toEqual(Array(4).fill('simulated'));
  });

  it('one sees that the other types, until they have said it', async () => {
    const [alice, bob] = await two(new ModelRelay());
    await alice.chat.typing(alice.peer);
    await until(() => expect(conversation(bob).isTyping).toBe(true));
    await alice.chat.say(alice.peer, 'so');
    await until(() => expect(bob.lines()).toHaveLength(1));
    expect(conversation(bob).isTyping).toBe(false);
  });

  it('one sees who was heard from, by what they say and by their receipts', async () => {
    const [alice, bob] = await two(new ModelRelay());
    await alice.chat.say(alice.peer, 'hello');
    await until(() => expect(conversation(alice).isHere).toBe(true));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
    try {
      await until(() => expect(conversation(alice).isHere).toBe(false));
      await alice.chat.say(alice.peer, 'are you there?');
      await until(() => expect(conversation(bob).isHere).toBe(true));
      await until(() => expect(conversation(alice).isHere).toBe(true));
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a chat', () => {
  it('takes no link but that of another', async () => {
    const alice = await side(new ModelRelay(), 'alice');
    await expect(alice.chat.add(await alice.chat.invite())).rejects.toThrow(ChatMisuse);
    await expect(alice.chat.add('bellwire-contact:AAAA')).rejects.toThrow(LinkRefused);
    expect(alice.chat.view().conversations).toEqual([]);
  });

  it('believes nothing that came by a mailbox of somebody else', async () => {
    const relay = new ModelRelay();
    const [alice, bob] = await two(relay);
    const carol = await side(relay, 'carol');
    carol.peer = await carol.chat.add(await bob.chat.invite());
    await until(() => expect(bob.chat.view().conversations).toHaveLength(2));
    const right = (await contacts(alice.vault))[0]?.value.card?.right;
    const [own] = await contacts(carol.vault);
    if (!own?.value.card || !right) throw new Error('expected cards');
    const changed = { ...own.value, card: { ...own.value.card, right } };
    await carol.vault.commit([
      { kind: 'contact', key: own.key, value: changed, expected: own.version },
    ]);
    await carol.chat.set(carol.peer, { isVerified: false }); // it looks anew
    await carol.chat.say(carol.peer, 'as if by Alice');
    await until(() => expect(bob.chat.view().unshown).toBe(1));
    expect(bob.lines()).toEqual([]);
  });

  it('tells nothing to another relay than it met first', async () => {
    const relay = new ModelRelay();
    const alice = await side(relay, 'alice');
    relay.boxes.clear();
    relay.id = zeros(32).fill(8);
    relay.turn(true);
    await until(() => expect(alice.chat.view().isOtherRelay).toBe(true));
    expect(alice.chat.view().connection).not.toBe('up');
    expect(relay.boxes.size).toBe(0);
  });

  it('gives each of its links another mailbox, which one person gets', async () => {
    const relay = new ModelRelay();
    const bob = await side(relay, 'bob');
    const link = await bob.chat.invite();
    await bob.chat.invite();
    expect(relay.boxes.size).toBe(2);
    const alice = await side(relay, 'alice');
    await alice.chat.add(link);
    await until(() => expect(bob.chat.view().conversations).toHaveLength(1));
    const carol = await side(relay, 'carol');
    await carol.chat.add(link); // used: its one-time prekey is gone
    await until(() => expect(bob.chat.view().unshown).toBe(1));
    expect(bob.chat.view().conversations.map(({ peer }) => peer)).toEqual([
      toHex(alice.chat.identity.public.fingerprint),
    ]);
  });
});
