// @vitest-environment node
import 'fake-indexeddb/auto';
import { describe, expect, it } from 'vitest';
import { zeros } from '../protocol/bytes';
import { Kind, makeContent } from '../protocol/content';
import { PAD, type PadRecord } from '../state/pads';
import { sayAll, WISH } from '../state/talk';
import { ModelLink } from './testing/keys';
import { ModelRelay } from './testing/relay';
import { conversation, type Side, side, two, until } from './testing/sides';

const words = (one: Side) => one.lines().map(([text]) => text);

async function losePads(one: Side): Promise<void> {
  const all = await one.vault.list<PadRecord>(PAD);
  await one.vault.commit(
    all.map(({ key, version }) => ({ kind: PAD, key, value: null, expected: version })),
  );
}

/** Alice's keys are mixed with pad that Bob has no more, and he has not heard her last words. */
async function lost(relay: ModelRelay, link: ModelLink) {
  const [alice, bob] = await two(relay, link);
  for (const one of [alice, bob]) await one.chat.set(one.peer, { mode: 'pool' });
  await alice.chat.say(alice.peer, 'before');
  await until(() => expect(alice.lines()[0]?.[2]).toBe('delivered'));
  await bob.chat.say(bob.peer, 'heard');
  await until(() => expect(words(alice)).toEqual(['before', 'heard']));
  await until(() => expect(bob.lines()[1]?.[2]).toBe('delivered'));
  await losePads(bob);
  await alice.chat.say(alice.peer, 'lost');
  await until(() => expect(bob.chat.view().unshown).toBeGreaterThan(0));
  expect(words(bob)).toEqual(['before', 'heard']);
  return [alice, bob] as const;
}

describe('a session begun anew', () => {
  it('brings what could not be opened, once, and pad of before serves nobody', async () => {
    const [alice, bob] = await lost(new ModelRelay(), new ModelLink());
    await bob.chat.renewSession(bob.peer);
    await until(() => expect(words(bob)).toEqual(['before', 'heard', 'lost']));
    await until(() => expect(conversation(bob).renewal).toBe('ours'));
    await until(() => expect(conversation(alice).renewal).toBe('theirs'));
    await until(() => expect(alice.lines()[2]).toEqual(['lost', true, 'delivered']));
    await bob.chat.say(bob.peer, 'and on');
    await alice.chat.say(alice.peer, 'it goes');
    await until(() => expect(words(bob)).toHaveLength(5));
    await until(() => expect(words(alice)).toHaveLength(5));
    for (const { content, protections } of conversation(bob).messages)
      expect([content.kind, protections.length]).toEqual([Kind.text, 1]);
    expect(alice.chat.view().unshown).toBe(0);
  });

  it('waits for who is away, and goes on where a window was closed', async () => {
    const [relay, link] = [new ModelRelay(), new ModelLink()];
    const [alice, bob] = await lost(relay, link);
    alice.close();
    await bob.chat.renewSession(bob.peer);
    await bob.chat.say(bob.peer, 'meanwhile');
    await until(() => expect(conversation(bob).renewal).toBe('asked'));
    const keys = link.at('pages-a');
    const late = await side(relay, 'alice', { place: alice.place, keys });
    await until(() => expect(words(bob)).toContain('lost'));
    await until(() => expect(conversation(bob).renewal).toBe('ours'));
    await until(() => expect(conversation(late).messages).toHaveLength(4));
  });

  it('confirms again what is said again, as read where it was', async () => {
    const [relay, link] = [new ModelRelay(), new ModelLink()];
    const [gone, bob] = await two(relay, link);
    gone.close();
    for (const text of ['read', 'heard']) await bob.chat.say(bob.peer, text);
    await until(() => expect(bob.lines()[1]?.[2]).toBe('sent'));
    bob.close();
    const alice = await side(relay, 'alice', { place: gone.place, keys: link.at('pages-a') });
    await until(() => expect(words(alice)).toEqual(['read', 'heard']));
    await alice.chat.read(alice.peer);
    await alice.chat.say(alice.peer, 'hers');
    await until(() => expect(alice.lines()[2]?.[2]).toBe('sent'));
    // What tells him that they were read is lost, and what she said.
    for (const { kept } of relay.boxes.values()) kept.clear();
    const again = await side(relay, 'bob', { place: bob.place, keys: link.at('pages-b') });
    const states = () => again.lines().map(([, , state]) => state);
    expect(states()).toEqual(['sent', 'sent']);
    await again.chat.renewSession(again.peer);
    await until(() => expect(words(again)).toEqual(['read', 'heard', 'hers']));
    await until(() => expect(states().slice(0, 2)).toEqual(['read', 'read']));
    await until(() => expect(alice.lines()[2]?.[2]).toBe('delivered'));
  });

  it('is not begun by keys of somebody else', async () => {
    const [alice, bob] = await two(new ModelRelay());
    const about = { kind: Kind.renew, id: zeros(16).fill(9), sentMs: 1 };
    const asked = makeContent({ ...about, text: zeros(4000) });
    await sayAll(bob.vault, bob.peer, [asked], async () => []);
    await bob.chat.say(bob.peer, 'behind it');
    await until(() => expect(words(alice)).toEqual(['behind it']));
    expect([await alice.vault.list(WISH), conversation(alice).renewal]).toEqual([[], null]);
  });
});

describe('without pad, as somebody chose', () => {
  it('no session is made, and what is said says so', async () => {
    const link = new ModelLink();
    const [alice, bob] = await two(new ModelRelay(), link);
    let many = 0;
    link.whileMaking = async () => {
      many += 1;
    };
    await alice.chat.set(alice.peer, { policy: 'off' });
    await alice.chat.say(alice.peer, 'plain');
    await until(() => expect(words(bob)).toEqual(['plain']));
    expect([many, link.given.size]).toEqual([0, 0]);
    expect(conversation(bob).messages[0]?.protections).toMatchObject([{ padSource: null }]);
  });
});
