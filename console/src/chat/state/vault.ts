/**
 * What the browser keeps: records in IndexedDB, each sealed by a key that no script can read.
 *
 * Changes are made together or not at all, and only of records that are as they were read: whoever
 * works on what another window has changed meanwhile is told, and reads again. A commit is on the
 * disk when it returns.
 *
 * Pieces of files lie beside the records, as they travel: under a key of their own file, which is in
 * a record.
 *
 * Source: W3C, "Indexed Database API 3.0", 5.1 (durability); NIST SP 800-38D (random nonces: at most
 * 2^32 records are ever written under one key).
 */

import { ascii, type Bytes, join } from '../protocol/bytes';
import { pack, unpack } from './codec';

const RECORDS = 'records';
const KEYS = 'keys';
const PIECES = 'pieces';
/** Of the database: 2 has pieces. */
const SHAPE = 2;
const NONCE_BYTES = 12;

/** Another window has changed a record since it was read; nothing was written. */
export class Conflict extends Error {
  override name = 'Conflict';
}

/** A record as it was read. */
export interface Found<T> {
  readonly key: string;
  readonly value: T;
  /** Grows with each change, from 1. */
  readonly version: number;
}

export interface Change {
  readonly kind: string;
  readonly key: string;
  /** Null takes the record away. */
  readonly value: unknown;
  /** The version that was read; 0: there was no such record. */
  readonly expected: number;
}

interface Kept {
  readonly version: number;
  readonly sealed: Bytes;
}

type Made = Change & { readonly kept: Kept | null };

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Conflict('a record has changed'));
  });
}

/** Everything whose key begins with this. */
const all = (first: string) => IDBKeyRange.bound([first], [first, []]);

export class Vault {
  private constructor(
    private readonly database: IDBDatabase,
    private readonly box: CryptoKey,
  ) {}

  /** The vault of this name, made if there is none. */
  static async open(name: string): Promise<Vault> {
    const request = indexedDB.open(name, SHAPE);
    request.onupgradeneeded = () => {
      for (const each of [RECORDS, KEYS, PIECES])
        if (!request.result.objectStoreNames.contains(each)) request.result.createObjectStore(each);
    };
    const database = await answer(request);
    // Another window that wants the vault gone gets it.
    database.onversionchange = () => database.close();
    const aes = { name: 'AES-GCM', length: 256 };
    const fresh = await crypto.subtle.generateKey(aes, false, ['encrypt', 'decrypt']);
    const transaction = database.transaction(KEYS, 'readwrite', { durability: 'strict' });
    const keys = transaction.objectStore(KEYS);
    const done = ended(transaction);
    // The first window that comes makes it; what another one has made counts for all.
    const made = await answer<CryptoKey | undefined>(keys.get('box'));
    if (!made) keys.put(fresh, 'box');
    await done;
    return new Vault(database, made ?? fresh);
  }

  /** Takes the vault away, with the key: nothing of it can be read any more. */
  static async destroy(name: string): Promise<void> {
    await answer(indexedDB.deleteDatabase(name));
  }

  close(): void {
    this.database.close();
  }

  async read<T>(kind: string, key: string): Promise<Found<T> | null> {
    const store = this.database.transaction(RECORDS).objectStore(RECORDS);
    const kept = await answer<Kept | undefined>(store.get([kind, key]));
    return kept ? this.opened<T>(kind, key, kept) : null;
  }

  /** All records of a kind, by their keys in order. */
  async list<T>(kind: string): Promise<Found<T>[]> {
    const store = this.database.transaction(RECORDS).objectStore(RECORDS);
    const [keys, kept] = await Promise.all([
      answer(store.getAllKeys(all(kind))),
      answer<Kept[]>(store.getAll(all(kind))),
    ]);
    const names = keys.map((each) => String((each as [string, string])[1]));
    return Promise.all(kept.map((each, at) => this.opened<T>(kind, names[at] ?? '', each)));
  }

  /**
   * Write all of these, or nothing; keys, which no script can read, as they are.
   *
   * @throws Conflict if one of them is not any more as it was read.
   */
  async commit(
    changes: readonly Change[],
    keys: Readonly<Record<string, CryptoKey>> = {},
  ): Promise<void> {
    // Sealed beforehand: a transaction does not wait for anything but the database.
    const made = await Promise.all(changes.map((change) => this.made(change)));
    const how = { durability: 'strict' } as const;
    const transaction = this.database.transaction([RECORDS, KEYS], 'readwrite', how);
    const store = transaction.objectStore(RECORDS);
    const done = ended(transaction);
    for (const change of made) this.write(transaction, store, change);
    for (const [name, key] of Object.entries(keys)) transaction.objectStore(KEYS).put(key, name);
    await done;
  }

  private write(transaction: IDBTransaction, store: IDBObjectStore, change: Made): void {
    const place = [change.kind, change.key];
    const found: IDBRequest<Kept | undefined> = store.get(place);
    found.onsuccess = () => {
      if ((found.result?.version ?? 0) !== change.expected) transaction.abort();
      else if (change.kept) store.put(change.kept, place);
      else store.delete(place);
    };
  }

  /** A key as `commit` took it; null if there is none of this name. */
  async key(name: string): Promise<CryptoKey | null> {
    const store = this.database.transaction(KEYS).objectStore(KEYS);
    return (await answer<CryptoKey | undefined>(store.get(name))) ?? null;
  }

  /** Keep pieces of a file; what a crash takes of them was not there. */
  async putPieces(file: string, pieces: readonly (readonly [number, Bytes])[]): Promise<void> {
    const transaction = this.database.transaction(PIECES, 'readwrite');
    const done = ended(transaction);
    for (const [number, sealed] of pieces)
      transaction.objectStore(PIECES).put(sealed, [file, number]);
    await done;
  }

  /** Those that are here of `many` pieces from a number on, in their order. */
  pieces(file: string, first: number, many: number): Promise<Bytes[]> {
    const range = IDBKeyRange.bound([file, first], [file, first + many - 1]);
    return answer(this.ofPieces().getAll(range));
  }

  countPieces(file: string): Promise<number> {
    return answer(this.ofPieces().count(all(file)));
  }

  /** The numbers of the pieces that are here, in their order. */
  async numbersOfPieces(file: string): Promise<number[]> {
    const keys = await answer(this.ofPieces().getAllKeys(all(file)));
    return keys.map((each) => (each as [string, number])[1]);
  }

  async dropPieces(file: string): Promise<void> {
    const transaction = this.database.transaction(PIECES, 'readwrite');
    const done = ended(transaction);
    transaction.objectStore(PIECES).delete(all(file));
    await done;
  }

  private ofPieces(): IDBObjectStore {
    return this.database.transaction(PIECES).objectStore(PIECES);
  }

  private async made(change: Change): Promise<Made> {
    if (change.value === null) return { ...change, kept: null };
    const version = change.expected + 1;
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const how = this.how(nonce, change.kind, change.key, version);
    const text = pack(change.value);
    const sealed = await crypto.subtle.encrypt(how, this.box, text);
    text.fill(0);
    return { ...change, kept: { version, sealed: join(nonce, new Uint8Array(sealed)) } };
  }

  private async opened<T>(kind: string, key: string, { version, sealed }: Kept): Promise<Found<T>> {
    const how = this.how(sealed.slice(0, NONCE_BYTES), kind, key, version);
    const text = await crypto.subtle.decrypt(how, this.box, sealed.slice(NONCE_BYTES));
    return { key, value: unpack<T>(new Uint8Array(text)), version };
  }

  /** A record opens at its own place and version alone. */
  private how(iv: Bytes, kind: string, key: string, version: number): AesGcmParams {
    return { name: 'AES-GCM', iv, additionalData: ascii(JSON.stringify([kind, key, version])) };
  }
}
