// @vitest-environment node
import 'fake-indexeddb/auto';
import { afterEach, describe, expect, it } from 'vitest';
import { ascii, zeros } from '../protocol/bytes';
import { pack, unpack } from './codec';
import { Conflict, Vault } from './vault';

const vaults: Vault[] = [];

async function open(name: string): Promise<Vault> {
  const vault = await Vault.open(name);
  vaults.push(vault);
  return vault;
}

/** All that a database has, as it lies there. */
async function lying(name: string): Promise<{ records: unknown[]; keys: CryptoKey[] }> {
  const request = indexedDB.open(name);
  const database = await new Promise<IDBDatabase>((resolve) => {
    request.onsuccess = () => resolve(request.result);
  });
  const all = (store: string) =>
    new Promise<unknown[]>((resolve) => {
      const found = database.transaction(store).objectStore(store).getAll();
      found.onsuccess = () => resolve(found.result);
    });
  const [records, keys] = [await all('records'), await all('keys')];
  database.close();
  return { records, keys: keys as CryptoKey[] };
}

afterEach(() => {
  for (const vault of vaults.splice(0)) vault.close();
});

const put = (value: unknown, expected: number, key = 'a') => ({ kind: 'k', key, value, expected });

describe('a vault', () => {
  it('gives back what it was given, also when it is opened again', async () => {
    const vault = await open('again');
    const value = { bytes: Uint8Array.of(0, 255), text: 'bytes:AA', none: null, list: [1, 'ü'] };
    await vault.commit([put(value, 0), put('other', 0, 'b')]);
    vault.close();
    const later = await open('again');
    expect(await later.read('k', 'a')).toEqual({ key: 'a', value, version: 1 });
    expect((await later.list('k')).map(({ key }) => key)).toEqual(['a', 'b']);
    expect(await later.list('other')).toEqual([]);
    expect(await later.read('k', 'z')).toBeNull();
  });

  it('writes all of a commit, or nothing if a record has changed since', async () => {
    const vault = await open('together');
    await vault.commit([put('first', 0)]);
    await expect(vault.commit([put('new', 0, 'b'), put('x', 0)])).rejects.toThrow(Conflict);
    await expect(vault.commit([put('new', 0, 'b'), put('x', 2)])).rejects.toThrow(Conflict);
    expect(await vault.read('k', 'b')).toBeNull();
    await vault.commit([put('second', 1), put('new', 0, 'b')]);
    await vault.commit([put(null, 2)]);
    expect(await vault.read('k', 'a')).toBeNull();
    expect((await vault.read('k', 'b'))?.value).toBe('new');
  });

  it('is one for two windows that open it at once', async () => {
    const [one, other] = await Promise.all([open('windows'), open('windows')]);
    await one.commit([put('said', 0)]);
    expect((await other.read('k', 'a'))?.value).toBe('said');
  });

  it('has nothing readable lying about, and a key that cannot be read out', async () => {
    const vault = await open('closed');
    await vault.commit([put({ secret: ascii('plain words') }, 0)]);
    const { records, keys } = await lying('closed');
    const text = JSON.stringify(records, (_, each) =>
      each instanceof Uint8Array ? String.fromCharCode(...each) : each,
    );
    expect(records).toHaveLength(1);
    expect(text).not.toContain('plain words');
    expect(text).not.toContain(new TextDecoder().decode(pack('plain words')).slice(1, -1));
    expect(keys.map(({ extractable }) => extractable)).toEqual([false]);
    await expect(crypto.subtle.exportKey('raw', keys[0] as CryptoKey)).rejects.toThrow();
  });

  it('opens a record at its own place alone', async () => {
    const vault = await open('place');
    await vault.commit([put('a', 0), put('b', 0, 'b')]);
    const request = indexedDB.open('place');
    const database = await new Promise<IDBDatabase>((resolve) => {
      request.onsuccess = () => resolve(request.result);
    });
    const transaction = database.transaction('records', 'readwrite');
    const store = transaction.objectStore('records');
    const found = store.get(['k', 'a']);
    found.onsuccess = () => store.put(found.result, ['k', 'b']);
    await new Promise((resolve) => {
      transaction.oncomplete = resolve;
    });
    database.close();
    await expect(vault.read('k', 'b')).rejects.toThrow();
    expect((await vault.read('k', 'a'))?.value).toBe('a');
  });

  it('is gone when it is destroyed', async () => {
    const vault = await open('gone');
    await vault.commit([put('a', 0)]);
    await Vault.destroy('gone');
    expect(await (await open('gone')).read('k', 'a')).toBeNull();
  });
});

it('values come back from text as they were', () => {
  for (const value of [null, 5, 'text:bytes:', '', zeros(3), { a: [zeros(0), { b: true }] }])
    expect(unpack(pack(value))).toEqual(value);
});
