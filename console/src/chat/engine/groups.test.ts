// @vitest-environment node
import 'fake-indexeddb/auto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fromHex, toHex } from '../../shared/merkle';
import { ascii, type Bytes, zeros } from '../protocol/bytes';
import { Kind, makeContent } from '../protocol/content';
import { GroupUnusable } from '../protocol/errors';
import { CHUNK_BYTES } from '../protocol/file';
import { drawId, nextRoster, viewOf } from '../protocol/roster';
import { fileKey } from '../state/files';
import { about, groupOf } from '../state/groups';
import { say } from '../state/talk';
import { Vault } from '../state/vault';
import { Chat } from './chat';
import { type FileShown, placeOf } from './files';
import type { GroupMessage, GroupTalk } from './groups';
import { ModelLink } from './testing/keys';
import { holds, ModelRelay } from './testing/relay';

const HOME = 'ws://127.0.0.1:8765';
const open: (() => void)[] = [];
let made = 0;

afterEach(() => {
  for (const close of open.splice(0)) close();
});

const until = (holds: () => void) => vi.waitFor(holds, { timeout: 300_000, interval: 5 });

class Side {
  private constructor(
    readonly chat: Chat,
    readonly vault: Vault,
    readonly place: string,
    readonly close: () => void,
  ) {}

  static async open(relay: ModelRelay, name: string, link: ModelLink, place = `group ${made++}`) {
    const vault = await Vault.open(place);
    const keys = link.at(`pages-${name}`);
    const chat = await Chat.open({ vault, name, relays: [HOME], openWay: relay.openWay, keys });
    const close = () => {
      chat.close();
      vault.close();
    };
    open.push(close);
    await until(() => expect(chat.view().connection).toBe('up'));
    return new Side(chat, vault, place, close);
  }

  get me(): string {
    return toHex(this.chat.identity.public.fingerprint);
  }

  get group(): GroupTalk {
    const [first] = this.chat.view().groups;
    if (!first) throw new Error('expected a group');
    return first;
  }

  get names(): string[] {
    return this.group.members.map(({ name }) => name).sort();
  }

  /** Who said what. */
  get told(): [string, string][] {
    return this.group.messages.map(({ name, content, deleted }) => [
      name,
      deleted ? '' : new TextDecoder().decode(content.text),
    ]);
  }

  /** The last file of ours in the group, or of somebody. */
  file(of?: string): FileShown | undefined {
    const talk = this.chat.view().conversations.find(({ peer }) => peer === of);
    const id = this.group.messages.findLast(({ author }) => author === (of ?? null))?.content.id;
    const files = of ? talk?.files : this.group.files;
    return id && files?.get(placeOf(id, of === undefined));
  }

  /** How far each copy has come of the last that we said. */
  get copies(): string[] {
    const last = this.group.messages.findLast(({ ours }) => ours);
    return (last?.copies ?? []).map(({ message }) => message.state).sort();
  }

  find(words: string): GroupMessage {
    const found = this.group.messages.find(
      ({ content }) => new TextDecoder().decode(content.text) === words,
    );
    if (!found) throw new Error(`expected ${words}`);
    return found;
  }

  say(words: string): Promise<void> {
    return this.chat.groups.say(this.group.group, words);
  }
}

/** The first one knows all others, who do not know each other. */
async function people(...names: string[]) {
  const [relay, link] = [new ModelRelay(), new ModelLink()];
  const sides: Side[] = [];
  for (const name of names) sides.push(await Side.open(relay, name, link));
  const [first, ...others] = sides as [Side, ...Side[]];
  for (const each of others) {
    await each.chat.add(await first.chat.invite());
    await until(() =>
      expect(
        first.chat.view().conversations.find(({ peer }) => peer === each.me)?.contact.card,
      ).toBeTruthy(),
    );
  }
  return { relay, link, sides };
}

/** A group of all of them, who have met. */
async function lab(...names: string[]) {
  const { relay, link, sides } = await people(...names);
  const [first, ...others] = sides as [Side, ...Side[]];
  await first.chat.groups.new(
    'lab',
    others.map(({ me }) => me),
  );
  for (const each of sides)
    await until(() => {
      expect(each.names).toEqual([...names].sort());
      expect(each.group.members.every(({ isReachable }) => isReachable)).toBe(true);
    });
  return { relay, link, sides };
}

describe('a group', () => {
  it('lets members who did not know each other meet, and all see the same', async () => {
    const { relay, link, sides } = await lab('alice', 'bob', 'carol');
    const [alice, bob, carol] = sides as [Side, Side, Side];
    expect(alice.group).toMatchObject({ name: 'lab', isAdmin: true, isIn: true });
    await alice.say('one');
    await until(() => expect(carol.told).toEqual([['alice', 'one']]));
    await until(() => expect(bob.told).toHaveLength(1));
    await bob.say('two');
    await until(() => expect(carol.told).toHaveLength(2));
    const { group } = carol.group;
    await carol.chat.groups.sayOf(group, Kind.reply, carol.find('two').content.id, 'three');
    const all = [
      ['alice', 'one'],
      ['bob', 'two'],
      ['carol', 'three'],
    ];
    for (const each of sides) await until(() => expect(each.told).toEqual(all));
    expect(toHex(alice.find('three').content.target ?? zeros(16))).toBe(
      toHex(alice.find('two').content.id),
    );
    expect(holds(relay, 'one')).toBe(false);
    expect(link.sessions.size).toBe(0); // one for each copy, each fetched once
    expect(carol.group.unread).toBe(2);
    await carol.chat.groups.read(group);
    await until(() => expect(carol.group.unread).toBe(0));
    await until(() => expect(alice.copies).toEqual(['delivered', 'read']));
    expect(alice.find('one').state).toBe('delivered');
    // Nothing of the group is in the conversations of two.
    for (const { chat } of sides)
      for (const { messages, unread } of chat.view().conversations)
        expect([messages, unread]).toEqual([[], 0]);
    expect(await carol.chat.safety(bob.me)).toBe(await bob.chat.safety(carol.me));
    for (const { chat } of sides) expect(chat.view().unshown).toBe(0);
  });

  it('shows who types, without pad, until they have said it', async () => {
    const { link, sides } = await lab('alice', 'bob');
    const [alice, bob] = sides as [Side, Side];
    let many = 0;
    link.whileMaking = async () => {
      many += 1;
    };
    await alice.chat.groups.typing(alice.group.group);
    await until(() => expect(bob.group.typing).toEqual(['alice']));
    expect(bob.chat.view().conversations[0]?.isTyping).toBe(false);
    expect(many).toBe(0);
    await alice.say('so');
    await until(() => expect(bob.told).toHaveLength(1));
    expect(bob.group.typing).toEqual([]);
  });

  it('has edits, deletions, timers and files of who said it, and of nobody else', async () => {
    const { sides } = await lab('alice', 'bob');
    const [alice, bob] = sides as [Side, Side];
    const { group } = alice.group;
    await alice.say('wrong');
    await until(() => expect(bob.told).toEqual([['alice', 'wrong']]));
    const { id } = alice.find('wrong').content;
    await bob.chat.groups.sayOf(group, Kind.edit, id, 'by bob');
    await alice.chat.groups.sayOf(group, Kind.edit, id, 'right');
    await until(() => expect(bob.told).toEqual([['alice', 'right']]));
    await alice.chat.groups.sayOf(group, Kind.delete, id);
    await until(() => expect(bob.told).toEqual([['alice', '']]));
    expect(alice.told).toEqual([['alice', '']]);
    await bob.chat.groups.setTimer(group, 300);
    await until(() => expect(alice.group.timerS).toBe(300));
    await alice.chat.groups.attach(group, 'a.txt', new Blob([ascii('data')]));
    await until(() => expect(bob.group.messages.at(-1)?.content.kind).toBe(Kind.file));
    expect(bob.group.messages.at(-1)?.content.timerS).toBe(300);
  });

  it('has large files, sealed once, until no member lacks them', async () => {
    const { sides } = await lab('alice', 'bob', 'carol');
    const [alice, bob, carol] = sides as [Side, Side, Side];
    const { group } = alice.group;
    const data = Uint8Array.from({ length: 7 * CHUNK_BYTES + 5 }, (_, at) => (at * at) % 251);
    const kept = (id: Bytes) => alice.vault.countPieces(fileKey(alice.me, id, true));
    const last = (one: Side) => one.group.messages.at(-1)?.content.id ?? zeros(16);
    await alice.chat.groups.attach(group, '../counts.bin', new Blob([data]));
    for (const each of [bob, carol]) {
      await until(() => expect(each.file(alice.me)).toMatchObject({ state: 'whole' }));
      const blob = await each.chat.files.blob(alice.me, last(each), false);
      expect(new Uint8Array(await blob.arrayBuffer())).toEqual(data);
      expect(each.group.messages.at(-1)?.name).toBe('alice');
    }
    await until(() => expect(alice.file()).toMatchObject({ state: 'whole', done: data.length }));
    expect(await kept(last(alice))).toBe(0);

    // Who is away keeps it here; who is removed gets no more of it; then it is nobody's to have.
    carol.close();
    await alice.chat.groups.attach(group, 'more.bin', new Blob([data]));
    await until(() => expect(bob.file(alice.me)).toMatchObject({ name: 'more.bin' }));
    await until(() => expect(bob.file(alice.me)).toMatchObject({ state: 'whole' }));
    const id = last(alice);
    expect([alice.file()?.state, alice.file()?.done, await kept(id)]).toEqual(['coming', 0, 8]);
    await alice.chat.groups.remove(group, carol.me);
    await alice.chat.files.mind();
    expect([alice.file()?.state, await kept(id)]).toEqual(['whole', 0]);

    await bob.chat.groups.leave(group);
    await until(() => expect(alice.names).toEqual(['alice']));
    const attach = () => alice.chat.groups.attach(group, 'x', new Blob([data]));
    await expect(attach()).rejects.toThrow(GroupUnusable);
    expect(alice.group.files.size).toBe(2);
  });

  it('calls off a large file for all of them', async () => {
    const { relay, link, sides } = await lab('alice', 'bob');
    const [alice, bob] = sides as [Side, Side];
    const data = new Blob([new Uint8Array(7 * CHUNK_BYTES)]);
    bob.close();
    await alice.chat.groups.attach(alice.group.group, 'zeros', data);
    await alice.chat.files.cancel(alice.me, alice.file()?.id ?? zeros(16), true);
    expect(alice.file()?.state).toBe('stopped');
    const again = await Side.open(relay, 'bob', link, bob.place);
    await until(() => expect(again.file(alice.me)?.state).toBe('stopped'));
  });

  it('sends nothing to who is removed, and takes who left in anew', async () => {
    const { link, sides } = await lab('alice', 'bob', 'carol');
    const [alice, bob, carol] = sides as [Side, Side, Side];
    const { group } = alice.group;
    link.isEveThere = true;
    await alice.say('kept');
    await until(() => expect(alice.find('kept').copies).toHaveLength(2));
    await alice.chat.groups.remove(group, bob.me);
    link.isEveThere = false;
    alice.chat.groups.resend(group);
    await until(() => expect(carol.told).toEqual([['alice', 'kept']]));
    await until(() => expect(bob.group.isIn).toBe(false));
    expect(bob.told).toEqual([]);
    await until(() => expect(alice.find('kept').copies.map(({ name }) => name)).toEqual(['carol']));
    await expect(bob.say('in vain')).rejects.toThrow(GroupUnusable);

    await carol.chat.groups.leave(group);
    expect(carol.group.isIn).toBe(false);
    await until(() => expect(alice.names).toEqual(['alice']));
    await expect(alice.say('to nobody')).rejects.toThrow(GroupUnusable);
    await alice.chat.groups.add(group, carol.me);
    await until(() => expect(carol.group.isIn).toBe(true));
    await carol.say('here again');
    await until(() => expect(alice.told.at(-1)).toEqual(['carol', 'here again']));
  });

  it('is its admin’s to change, who hands it over; without one it is made anew', async () => {
    const { sides } = await lab('alice', 'bob', 'carol');
    const [alice, bob, carol] = sides as [Side, Side, Side];
    const { group } = alice.group;
    await expect(bob.chat.groups.rename(group, 'mine')).rejects.toThrow(GroupUnusable);
    await expect(alice.chat.groups.leave(group)).rejects.toThrow(GroupUnusable);
    await expect(alice.chat.groups.new('x', ['00'.repeat(32)])).rejects.toThrow(GroupUnusable);
    await alice.chat.groups.rename(group, 'day shift');
    await alice.chat.groups.handOver(group, bob.me);
    await until(() => expect(bob.group.isAdmin).toBe(true));
    expect(bob.group.name).toBe('day shift');
    await until(() =>
      expect(carol.group.members.find(({ isAdmin }) => isAdmin)?.peer).toBe(bob.me),
    );
    const fresh = await carol.chat.groups.renew(group);
    await until(() => expect(bob.names).toEqual(['alice', 'bob']));
    await alice.chat.groups.leave(group);
    await until(() => expect(bob.names).toEqual(['bob']));
    await until(() => expect(alice.chat.view().groups).toHaveLength(2));
    expect(carol.chat.view().groups.find((each) => each.group === fresh)).toMatchObject({
      name: 'day shift',
      isAdmin: true,
    });
  });

  it('keeps what is said for a member to whom there is no way yet, over a new window', async () => {
    const { relay, link, sides } = await people('alice', 'bob', 'carol');
    const [alice, bob, carol] = sides as [Side, Side, Side];
    carol.close();
    const group = await alice.chat.groups.new('lab', [bob.me, carol.me]);
    await until(() => expect(bob.names).toHaveLength(3));
    await bob.say('before you came');
    await until(() => expect(alice.told).toHaveLength(1));
    expect(bob.copies).toContain('unsent');
    bob.close();
    await Side.open(relay, 'bob', link, bob.place);
    const late = await Side.open(relay, 'carol', link, carol.place);
    await until(() => expect(late.told).toEqual([['bob', 'before you came']]));
    expect(late.group.group).toBe(group);
  });
});

describe('what comes before its roster', () => {
  /** Bob's words by the next roster, which Carol has not got. */
  async function early() {
    const { sides } = await lab('alice', 'bob', 'carol');
    const [alice, bob, carol] = sides as [Side, Side, Side];
    const kept = await groupOf(alice.vault, alice.group.group);
    if (!kept) throw new Error('expected a group');
    const { roster } = kept;
    const next = await nextRoster(alice.chat.identity, roster, { name: 'later' });
    const content = makeContent({
      kind: Kind.text,
      id: await drawId(roster.group, bob.me),
      sentMs: Date.now(),
      text: ascii('by the next one'),
      group: fromHex(roster.group),
      view: await viewOf(next),
    });
    return { alice, bob, carol, roster, next, content };
  }

  /** Say it to Carol as if it were a copy. */
  async function toCarol(bob: Side, carol: Side, content: ReturnType<typeof makeContent>) {
    const key = toHex(content.id);
    const value = { content, ours: true, protections: [], state: 'unsent' };
    await bob.vault.commit([{ kind: `message ${carol.me}`, key, value, expected: 0 }]);
    bob.chat.resend(carol.me);
  }

  it('waits, is asked for, and is shown once it is there', async () => {
    const { alice, bob, carol, content } = await early();
    await toCarol(bob, carol, content);
    await vi.waitFor(async () => expect(await carol.vault.list('held')).toHaveLength(1), {
      timeout: 300_000,
    });
    expect(carol.told).toEqual([]);
    await alice.chat.groups.rename(alice.group.group, 'later');
    await until(() => expect(carol.group.name).toBe('later'));
    await until(() => expect(carol.told).toEqual([['bob', 'by the next one']]));
  });

  it('is refused if its author named another roster of that number', async () => {
    const { alice, bob, carol, content } = await early();
    await alice.chat.groups.rename(alice.group.group, 'otherwise');
    await until(() => expect(carol.group.name).toBe('otherwise'));
    await toCarol(bob, carol, content);
    await until(() => expect(carol.chat.view().unshown).toBe(1));
    expect(carol.told).toEqual([]);
  });

  it('is refused if somebody else than its author could have said it', async () => {
    const { bob, carol, content, roster } = await early();
    const id = await drawId(roster.group, carol.me);
    const view = await viewOf(roster);
    await toCarol(bob, carol, { ...content, id, view });
    await until(() => expect(carol.chat.view().unshown).toBe(1));
    expect(carol.told).toEqual([]);
  });
});

describe('a member', () => {
  it('takes no introduction or roster that is not theirs to give', async () => {
    const { sides } = await lab('alice', 'bob', 'carol');
    const [, bob, carol] = sides as [Side, Side, Side];
    const { group } = bob.group;
    const text = ascii('x'.repeat(80));
    await say(bob.vault, carol.me, about(Kind.introduction, group, text), 'off');
    await say(bob.vault, carol.me, about(Kind.roster, group, text), 'off');
    bob.chat.resend(carol.me);
    await bob.say('and on');
    await until(() => expect(carol.told).toHaveLength(1));
    expect(carol.chat.view().unshown).toBe(2);
  });
});
