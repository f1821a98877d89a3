/**
 * What happens at the site, as it happens: one stream of server-sent events feeds the cache.
 *
 * The browser takes the stream up again by itself and says what it saw last. Heartbeats come every
 * two seconds, so silence means that the connection is lost, whatever the browser believes.
 */

import type { QueryClient } from '@tanstack/react-query';
import type { Schemas, Session } from './client';

export type Connection = 'connecting' | 'live' | 'lost';
type Live = Schemas['LiveEvents'];

export const SILENCE_MS = 6000;
const AGAIN_MS = 2000;
/** Points that a list keeps. */
export const MOST = 6000;

/** What the cache holds, by its key. */
export const keys = {
  about: ['about'],
  me: ['me'],
  network: ['network'],
  blocks: ['blocks'],
  stock: ['stock'],
  history: ['history'],
  events: ['events'],
  sessions: ['sessions'],
  record: ['record'],
  lab: ['lab'],
  experiment: ['experiment'],
  kept: ['kept'],
  devices: ['devices'],
  newcomers: ['newcomers'],
  door: ['door'],
  relay: ['relay'],
  chat: ['chat'],
} as const;

/** Two ascending lists that may overlap, as one: the later of two with one identity holds. */
export function merged<T>(
  older: readonly T[],
  newer: readonly T[],
  identity: (item: T) => number,
): T[] {
  const last = older.at(-1);
  const [first] = newer;
  // What comes live stands behind the rest: nothing of that needs to be looked at.
  if (last === undefined || first === undefined || identity(last) < identity(first))
    return older.slice(Math.max(0, older.length + newer.length - MOST)).concat(newer.slice(-MOST));
  const known = new Map(older.map((item) => [identity(item), item]));
  for (const item of newer) known.set(identity(item), item);
  return [...known.values()].slice(-MOST);
}

export const seqOf = (item: { seq: number }) => item.seq;
export const atOf = (item: { at: number }) => item.at;

export class LiveFeed {
  #source: EventSource | null = null;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #connection: Connection = 'connecting';
  readonly #listeners = new Set<() => void>();
  #users = 0;

  constructor(
    private readonly cache: QueryClient,
    private readonly open = () => new EventSource('/api/live'),
  ) {
    // Else the cache compares a full list with the next one, whose items all moved by a place, deeply.
    for (const each of [keys.blocks, keys.stock, keys.events])
      cache.setQueryDefaults(each, { structuralSharing: false });
  }

  readonly connection = (): Connection => this.#connection;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Listen until the returned function is called. */
  readonly start = (): (() => void) => {
    this.#users += 1;
    if (this.#users === 1) this.#connect();
    return () => {
      this.#users -= 1;
      if (this.#users === 0) this.#stop();
    };
  };

  #stop(): void {
    this.#source?.close();
    this.#source = null;
    clearTimeout(this.#watch);
  }

  #become(connection: Connection): void {
    if (connection === this.#connection) return;
    this.#connection = connection;
    for (const listener of this.#listeners) listener();
  }

  #heard(): void {
    this.#become('live');
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#lost(), SILENCE_MS);
  }

  /** Ask who we are, which tells a session that is over from a site that is away; begin anew. */
  #lost(): void {
    this.#stop();
    this.#become('lost');
    void this.cache.invalidateQueries({ queryKey: keys.me });
    this.#watch = setTimeout(() => this.#connect(), AGAIN_MS);
  }

  #connect(): void {
    const source = this.open();
    this.#source = source;
    this.#watch = setTimeout(() => this.#lost(), SILENCE_MS);
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) this.#lost();
      else this.#become('lost');
    };
    const on = <K extends keyof Live>(name: K, take: (content: Live[K]) => void) =>
      source.addEventListener(name, (event) => {
        this.#heard();
        take(JSON.parse((event as MessageEvent<string>).data) as Live[K]);
      });
    on('heartbeat', () => {});
    on('network', (network) => {
      this.cache.setQueryData(keys.network, network);
      for (const each of ['blocks', 'stock', 'history', 'events', 'sessions'] as const)
        void this.cache.invalidateQueries({ queryKey: keys[each] });
    });
    on('link', (link) => {
      this.#change({ link });
      void this.cache.invalidateQueries({ queryKey: keys.history });
    });
    on('lab', (lab) => this.#change({ lab }));
    on('guards', (guards) => this.#change({ guards }));
    on('stock', (stock) => {
      this.#change({ stock });
      this.#add(keys.stock, [stock], atOf);
    });
    on('block', (block) => this.#add(keys.blocks, [block], seqOf));
    on('event', (event) => this.#add(keys.events, [event], seqOf));
    on('session', (session) =>
      this.cache.setQueryData<Session[]>(keys.sessions, (old) =>
        old === undefined
          ? old
          : [session, ...old.filter((each) => each.session_id !== session.session_id)],
      ),
    );
    on('signed_out', () => {
      this.#stop();
      this.#become('connecting');
      this.cache.setQueryData(keys.me, null);
    });
  }

  #change(part: Partial<Schemas['NetworkView']>): void {
    this.cache.setQueryData<Schemas['NetworkView']>(
      keys.network,
      (old) => old && { ...old, ...part },
    );
  }

  #add<T>(key: readonly string[], items: readonly T[], identity: (item: T) => number): void {
    this.cache.setQueryData<T[]>(key, (old) => old && merged(old, items, identity));
  }
}
