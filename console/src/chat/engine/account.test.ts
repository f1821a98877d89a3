// @vitest-environment node
import 'fake-indexeddb/auto';
import { expect, it } from 'vitest';
import { toHex } from '../../shared/merkle';
import { Visibility } from '../protocol/accounts';
import { AccountRefused } from '../protocol/errors';
import { Vault } from '../state/vault';
import { PasswordUnfit, PUBLISH_EVERY_S, STOCK } from './account';
import type { Request } from './requests';
import { ModelAccounts } from './testing/accounts';
import { ModelRelay } from './testing/relay';
import { conversation, type Side, side, until } from './testing/sides';

const DAY_S = 86_400;
const PASSWORD = 'seven words that nobody would draw';
const refused = (reason: number) => new AccountRefused(reason);

async function named(
  relay: ModelRelay,
  name: string,
  handle: string,
  now?: () => number,
): Promise<Side> {
  const one = await side(relay, name, now && { now });
  await one.chat.handle.signUp(handle, PASSWORD, '');
  await until(() => expect(one.chat.view().handle?.published).toBe('there'));
  return one;
}

/** Whoever waits at somebody's, once they have said so many things. */
async function asks(one: Side, many = 1): Promise<Request> {
  const found = () => one.chat.view().strange.requests[0];
  await until(() => expect(found()?.messages).toHaveLength(many));
  return found() as Request;
}

it('who found a handle writes first, waits unanswered, and is a contact once accepted', async () => {
  const relay = new ModelRelay();
  const accounts = await ModelAccounts.at(relay);
  const bob = await named(relay, 'bob', 'bobby');
  await until(() => expect(accounts.kept.get('bobby')?.oneTime).toHaveLength(STOCK));
  const alice = await side(relay, 'alice');
  expect(await alice.chat.directory.search('bo')).toEqual([]);
  await bob.chat.handle.setVisibility(Visibility.listed);
  expect(await alice.chat.directory.search('bo')).toEqual(['bobby']);

  const peer = await alice.chat.addHandle('@bobby');
  expect(accounts.kept.get('bobby')?.oneTime).toHaveLength(STOCK - 1);
  await alice.chat.say(peer, 'is that you?');
  const request = await asks(bob);
  expect([request.name, request.isLike]).toEqual(['alice', false]);
  expect(bob.chat.view().conversations).toEqual([]);
  expect(bob.lines()).toEqual([]);
  await until(() => expect(conversation(alice).messages[0]?.state).toBe('sent'));

  // Nothing was sent to her: of all mailboxes, hers is empty, and nothing waits to go there.
  expect([...relay.boxes.values()].every(({ kept }) => kept.size === 0)).toBe(true);
  await bob.chat.requests.accept(request.peer);
  await until(() => expect(conversation(alice).messages[0]?.state).toBe('delivered'));
  expect(bob.chat.view().strange.requests).toEqual([]);
  await bob.chat.say(request.peer, 'it is');
  await until(() => expect(alice.lines()).toContainEqual(['it is', false, 'answered']));
  await alice.chat.say(peer, 'good');
  await until(() => expect(bob.lines()).toContainEqual(['good', false, 'answered']));
  expect(await alice.chat.safety(peer)).toBe(await bob.chat.safety(request.peer));

  await bob.chat.handle.setVisibility(Visibility.hidden);
  const carol = await side(relay, 'carol');
  await expect(carol.chat.addHandle('bobby')).rejects.toEqual(refused(4));
});

it('who is declined is forgotten and may write again; who is blocked is not heard', async () => {
  const relay = new ModelRelay();
  await ModelAccounts.at(relay);
  const bob = await named(relay, 'bob', 'bobby');
  const alice = await side(relay, 'alice');
  const say = async (text: string) => alice.chat.say(await alice.chat.addHandle('bobby'), text);
  await say('first');
  const { peer } = await asks(bob);
  await bob.chat.requests.decline(peer);
  expect(bob.chat.view().strange.requests).toEqual([]);
  for (const kind of ['session', 'stranger', `message ${peer}`, 'identity of'])
    expect(await bob.vault.list(kind)).toEqual([]);
  // What nobody confirmed is said again by who meets anew.
  await say('second');
  expect((await asks(bob, 2)).peer).toBe(peer);
  await bob.chat.requests.block(peer);
  await expect(bob.chat.requests.accept(peer)).rejects.toThrow('session with them');
  await say('third');
  await until(() => expect(bob.chat.view().strange.rubbish).toBeGreaterThan(0));
  expect(bob.chat.view().strange.requests).toEqual([]);
  expect(bob.chat.view().unshown).toBe(0);
  await bob.chat.requests.unblock(peer);
  expect(bob.chat.view().strange.blocked).toEqual([]);
  await say('fourth');
  expect((await asks(bob, 4)).messages).toHaveLength(4);
});

it('a stranger says so many words and nothing else, and is no contact after a reload', async () => {
  const relay = new ModelRelay();
  await ModelAccounts.at(relay);
  const bob = await named(relay, 'bob', 'bobby');
  const alice = await side(relay, 'bob');
  const peer = await alice.chat.addHandle('bobby');
  await alice.chat.attach(peer, 'a.txt', new Blob(['a file']));
  await alice.chat.renewSession(peer);
  await alice.chat.groups.new('a group', [peer]);
  for (let at = 1; at <= 20; at += 1) await alice.chat.say(peer, `words ${at}`);
  const { messages } = await asks(bob, 16);
  const words = messages.map(({ content }) => new TextDecoder().decode(content.text));
  expect([words[0], words.at(-1)]).toEqual(['words 1', 'words 16']);
  expect(await bob.vault.list('group')).toEqual([]);
  expect(await bob.vault.list('session wished for')).toEqual([]);
  const again = async () => {
    bob.close();
    return side(relay, 'bob', { place: bob.place });
  };
  const later = await again();
  expect(later.chat.view().conversations).toEqual([]);
  expect(later.chat.view().strange.requests[0]?.messages).toHaveLength(16);
  expect(later.chat.view().handle?.handle).toBe('bobby');
  // By a link they are known without asking.
  const { peer: hers } = later.chat.view().strange.requests[0] as Request;
  await alice.chat.add(await later.chat.invite());
  await until(() => expect(later.chat.view().conversations[0]?.peer).toBe(hers));
  expect(later.chat.view().strange.requests).toEqual([]);
});

it('an account begins, ends and is refused as the relay says', async () => {
  const relay = new ModelRelay();
  const accounts = await ModelAccounts.at(relay);
  accounts.invitations = ['ab'.repeat(16)];
  const bob = await side(relay, 'bob');
  const { handle } = bob.chat;
  await expect(handle.signUp('bobby', 'short', '')).rejects.toThrow(PasswordUnfit);
  await expect(handle.signUp('bobby', PASSWORD, 'no digits')).rejects.toThrow('invitation');
  await expect(handle.signUp('bobby', PASSWORD, '')).rejects.toEqual(refused(12));
  expect(bob.chat.view().handle).toBeNull();
  await handle.signUp('@Bobby', PASSWORD, 'AB '.repeat(16));
  await expect(handle.signUp('another', PASSWORD, '')).rejects.toThrow('expected to sign up once');
  await until(() => expect(bob.chat.view().handle?.published).toBe('there'));

  await handle.logOut();
  expect(bob.chat.view().handle?.isLoggedIn).toBe(false);
  expect(accounts.sessions.size).toBe(0);
  await expect(handle.logIn('bobby', 'another password')).rejects.toEqual(refused(1));
  await handle.logIn('bobby', PASSWORD);
  const next = 'other words that nobody would draw';
  await expect(handle.setPassword(next, 'not the old one')).rejects.toEqual(refused(1));
  await handle.setPassword(next, null);
  await handle.logOutEverywhere();
  await handle.logIn('bobby', next);
  await until(() => expect(accounts.kept.get('bobby')?.oneTime).toHaveLength(STOCK));

  // Of another browser it is the same account, and nobody finds that browser by it.
  const other = await side(relay, 'bob elsewhere');
  await other.chat.handle.logIn('bobby', next);
  await until(() => expect(other.chat.view().handle?.isOurs).toBe(false));

  accounts.endAll('bobby');
  await expect(handle.setVisibility(Visibility.listed)).rejects.toEqual(refused(8));
  await handle.logIn('bobby', next);
  await expect(handle.delete('not the password')).rejects.toEqual(refused(1));
  await handle.delete(next);
  expect([accounts.kept.size, bob.chat.view().handle]).toEqual([0, null]);
  expect(await bob.vault.list('standing mailbox')).toEqual([]);
  await expect(other.chat.handle.signUp('bobby', next, '')).rejects.toEqual(refused(2));
});

it('devices are listed, named and logged out one by one, and what is kept is exported', async () => {
  const relay = new ModelRelay();
  await ModelAccounts.at(relay);
  const bob = await named(relay, 'bob', 'bobby');
  const { handle } = bob.chat;
  const other = await side(relay, 'bob elsewhere');
  await other.chat.handle.logIn('bobby', PASSWORD);
  const list = async () =>
    (await handle.devices()).map(({ name, isThis, publishes }) => [name, isThis, publishes]);
  expect(await list()).toEqual([
    ['a browser', true, true],
    ['a browser', false, false],
  ]);
  const [mine, theirs] = (await handle.devices()).map(({ device }) => device);
  if (!mine || !theirs) throw new Error('expected two devices');
  for (const bad of ['', ' ', 'x'.repeat(65), 'two\nlines', 'turned \u202e around'])
    await expect(handle.nameDevice(mine, bad)).rejects.toThrow('64 characters');
  await handle.nameDevice(mine, ' laptop 💻 ');
  await handle.nameDevice(theirs, 'x'.repeat(64));
  expect((await list()).map(([name]) => name)).toEqual(['laptop 💻', 'x'.repeat(64)]);
  const kept = JSON.parse(await handle.export());
  expect(kept).toEqual({ handle: 'bobby', devices: ['laptop 💻', 'x'.repeat(64)] });

  await handle.logOutDevice(theirs);
  expect(await list()).toEqual([['laptop 💻', true, true]]);
  await expect(other.chat.handle.devices()).rejects.toEqual(refused(8));
  await expect(handle.logOutDevice(theirs)).rejects.toEqual(refused(10));
  await expect(handle.nameDevice(theirs, 'gone')).rejects.toEqual(refused(10));
  await handle.logOutDevice(mine);
  expect(bob.chat.view().handle?.isLoggedIn).toBe(false);
  await expect(handle.export()).rejects.toEqual(refused(8));
});

it('rubbish in the box for everybody ends with the box', async () => {
  const relay = new ModelRelay();
  await ModelAccounts.at(relay);
  const bob = await named(relay, 'bob', 'bobby');
  const [before] = [...relay.boxes.keys()];
  await bob.chat.handle.newBox();
  expect([...relay.boxes.keys()]).not.toContain(before);
  expect(relay.boxes.size).toBe(1);
  const alice = await side(relay, 'alice');
  await alice.chat.say(await alice.chat.addHandle('bobby'), 'to the new one');
  expect((await asks(bob)).name).toBe('alice');
});

it('what others take is refilled, and renewed before it is over', async () => {
  const relay = new ModelRelay();
  const accounts = await ModelAccounts.at(relay);
  let now = Date.now() / 1000;
  const bob = await named(relay, 'bob', 'bobby', () => now);
  const kept = accounts.kept.get('bobby');
  const isFull = () => until(() => expect(kept?.oneTime).toHaveLength(STOCK));
  await isFull();
  kept?.oneTime.splice(0, 7);
  await bob.chat.handle.mind();
  expect(kept?.oneTime).toHaveLength(STOCK - 7);
  now += PUBLISH_EVERY_S;
  await bob.chat.handle.mind();
  await isFull();

  const { card, lasting } = { ...kept };
  const [first] = [...relay.boxes.keys()];
  now += 8 * DAY_S;
  await bob.chat.handle.mind();
  expect(kept?.card).not.toEqual(card);
  expect([kept?.lasting, relay.boxes.size]).toEqual([lasting, 2]);
  now += 15 * DAY_S;
  await bob.chat.handle.mind();
  expect(kept?.lasting).not.toEqual(lasting);
  expect(relay.boxes.has(first ?? '')).toBe(false);

  accounts.endAll('bobby');
  now += PUBLISH_EVERY_S;
  await bob.chat.handle.mind();
  expect(bob.chat.view().handle).toMatchObject({ isLoggedIn: false, published: refused(8) });
  // What begins no session any more is gone, with its secrets.
  const ofFirst = (await bob.vault.list('prekey')).length;
  await bob.chat.handle.logIn('bobby', PASSWORD);
  await until(() => expect(bob.chat.view().handle?.published).toBe('there'));
  now += 31 * DAY_S;
  await bob.chat.handle.mind();
  expect((await bob.vault.list('prekey')).length).toBeLessThan(ofFirst);
});

it('who is blocked is not met by way of a group either', async () => {
  const relay = new ModelRelay();
  await ModelAccounts.at(relay);
  const bob = await named(relay, 'bob', 'bobby');
  const alice = await side(relay, 'alice');
  const name = ({ chat }: Side) => toHex(chat.identity.public.fingerprint);
  let carol = await side(relay, 'carol');
  // Of two whom a group introduces, the first by the name makes a link.
  while (name(carol) > name(bob)) carol = await side(relay, 'carol');
  await carol.chat.say(await carol.chat.addHandle('bobby'), 'hello');
  await bob.chat.requests.block((await asks(bob)).peer);
  // She forgets that she knows him, and has the group introduce her.
  carol.close();
  const vault = await Vault.open(carol.place);
  const found = await vault.read('contact', name(bob));
  const version = found?.version ?? 0;
  await vault.commit([{ kind: 'contact', key: name(bob), value: null, expected: version }]);
  vault.close();
  carol = await side(relay, 'carol', { place: carol.place });
  const members: string[] = [];
  for (const one of [bob, carol]) {
    members.push(await alice.chat.add(await one.chat.invite()));
    await until(() =>
      expect(one.chat.view().conversations.some(({ contact }) => contact.name === 'alice')).toBe(
        true,
      ),
    );
  }
  const group = await alice.chat.groups.new('three', members);
  for (const words of ['one', 'two', 'three']) {
    await alice.chat.groups.say(group, words);
    for (const { chat } of [bob, carol])
      await until(() => {
        const said = chat.view().groups[0]?.messages.map(({ content }) => content.text) ?? [];
        expect(said.map((text) => new TextDecoder().decode(text))).toContain(words);
      });
  }
  expect(bob.chat.view().conversations.map(({ contact }) => contact.name)).toEqual(['alice']);
});
