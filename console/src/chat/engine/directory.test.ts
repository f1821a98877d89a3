// @vitest-environment node
import 'fake-indexeddb/auto';
import { expect, it } from 'vitest';
import type { AccountLine } from '../protocol/accounts';
import { equal } from '../protocol/bytes';
import { readLink } from '../protocol/card';
import { IdentityChanged, RelayUnreachable } from '../protocol/errors';
import { Vault } from '../state/vault';
import { Directory } from './directory';
import { OwnLines } from './own';
import { ModelRelay } from './testing/relay';
import { side } from './testing/sides';
import type { Way } from './way';

/** What the accounts of a relay say of handles, as a line to them has it. */
function said(handles: ReadonlyMap<string, Awaited<ReturnType<typeof readLink>>>) {
  const line = {
    search: async (prefix: string) => [...handles.keys()].filter((each) => each.startsWith(prefix)),
    take: async (handle: string, known: Uint8Array | null) => {
      const found = handles.get(handle);
      if (!found) throw new Error('expected a handle that is there');
      if (known && !equal(known, found.bundle.identity.fingerprint))
        throw new IdentityChanged(handle);
      return { handle, ...found };
    },
  } as unknown as AccountLine;
  return { ask: <T>(work: (line: AccountLine) => Promise<T>) => work(line) };
}

it('whose a handle is, is remembered, and another one is an alarm', async () => {
  const relay = new ModelRelay();
  const [bob, eve] = [await side(relay, 'bob'), await side(relay, 'eve')];
  const link = async (of: typeof bob) => readLink(await of.chat.invite(), Date.now() / 1000);
  const handles = new Map([['bobby', await link(bob)]]);
  const vault = await Vault.open('directory');
  const now = () => Date.now() / 1000;
  const directory = new Directory({ vault, own: said(handles), now });
  expect(await directory.search('@BO')).toEqual(['bobby']);
  const found = await directory.lookUp('@Bobby');
  expect(found.bundle.identity.is(bob.chat.identity.public)).toBe(true);
  handles.set('bobby', await link(eve));
  const later = new Directory({ vault, own: said(handles), now });
  await expect(later.lookUp('bobby')).rejects.toThrow(IdentityChanged);
  await expect(later.lookUp('!')).rejects.toThrow('expected');
  vault.close();
});

it('a line of our own ends with its errand, and with the way', async () => {
  const asked: [number, boolean][] = [];
  const way: Way = {
    send: async () => {},
    own: async (line, open) => {
      asked.push([line, open]);
    },
    close: () => {},
  };
  const own = new OwnLines(way, async () => true);
  const errand = () => own.ask((line: AccountLine) => line.search('bo'));
  const waiting = [errand(), errand(), errand(), errand()];
  await expect(errand()).rejects.toThrow('too much');
  own.ended(5); // the relay does not answer
  await expect(waiting[0]).rejects.toThrow(RelayUnreachable);
  const again = errand();
  own.endAll();
  for (const each of [...waiting.slice(1), again])
    await expect(each).rejects.toThrow(RelayUnreachable);
  const opened = asked.filter(([, open]) => open).map(([line]) => line);
  const closed = asked.filter(([, open]) => !open).map(([line]) => line);
  expect(opened).toEqual([5, 6, 7, 8, 5]);
  expect(closed.toSorted()).toEqual([5, 5, 6, 7, 8]);
});
