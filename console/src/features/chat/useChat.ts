/**
 * The chat of who is signed in, in this browser: one window at a time carries it, and it goes on while
 * that window shows other pages, until they sign out.
 */

import { type QueryClient, useQueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import { me } from '../../api/queries';
import { Chat } from '../../chat/engine/chat';
import { ConsoleKeys } from '../../chat/engine/keys';
import type { View } from '../../chat/engine/view';
import { ConsoleWay, type Hears } from '../../chat/engine/way';
import { Vault } from '../../chat/state/vault';
import { notice } from './notices';

export type Opened =
  | { is: 'opening' }
  | { is: 'elsewhere' }
  | { is: 'unusable' }
  | { is: 'open'; chat: Chat };

/** After which a lock that is not ours is another window's. */
const ELSEWHERE_MS = 700;

export interface Whose {
  readonly site: string;
  /** Of the account. */
  readonly account: string;
  /** What they call themselves to others. */
  readonly name: string;
  readonly relays: readonly string[];
  /** Who its pages are to the key servers; empty: they have no pads. */
  readonly sae: string;
}

interface Running {
  readonly key: string;
  readonly stop: () => void;
}

let running: Running | null = null;
let opened: Opened = { is: 'opening' };
const listeners = new Set<() => void>();

function show(now: Opened): void {
  opened = now;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * Their vault is opened, and the way to the relays.
 *
 * @returns How that stands, and a way to have it here when another window does.
 */
export function useChat(whose: Whose): [Opened, () => void] {
  const cache = useQueryClient();
  const key = JSON.stringify(whose);
  useEffect(() => {
    if (running?.key !== key) begin(cache, key);
  }, [cache, key]);
  const here = () => begin(cache, key, { steal: true });
  return [useSyncExternalStore(subscribe, () => opened), here];
}

function begin(cache: QueryClient, key: string, how: LockOptions = {}): void {
  running?.stop();
  const whose: Whose = JSON.parse(key);
  const stopped = new AbortController();
  const { signal } = stopped;
  // Nothing of who has signed out stays in memory.
  const watch = cache.getQueryCache().subscribe(() => {
    if (!cache.getQueryData(me.queryKey)) stop();
  });
  const stop = () => {
    if (running?.stop === stop) running = null;
    watch();
    clearTimeout(waits);
    stopped.abort();
    show({ is: 'opening' });
  };
  running = { key, stop };
  const waits = setTimeout(() => show({ is: 'elsewhere' }), ELSEWHERE_MS);
  const vaultName = `bellwire chat ${whose.site} ${whose.account}`;
  const work = async () => {
    clearTimeout(waits);
    void navigator.storage.persist();
    await carry(whose, vaultName, signal);
  };
  const options = how.steal ? how : { signal };
  navigator.locks.request(vaultName, options, work).catch((error: unknown) => {
    clearTimeout(waits);
    if (signal.aborted) return;
    stopped.abort();
    const isTaken = error instanceof DOMException && error.name === 'AbortError';
    show({ is: isTaken ? 'elsewhere' : 'unusable' });
  });
}

/** Talk until it is stopped. */
async function carry(whose: Whose, vaultName: string, signal: AbortSignal): Promise<void> {
  const { name, relays, sae } = whose;
  const vault = await Vault.open(vaultName);
  try {
    const openWay = (hears: Hears) => new ConsoleWay(hears);
    const keys = sae ? new ConsoleKeys(sae) : null;
    const chat = await Chat.open({ vault, name, relays, openWay, keys });
    const quiet = notice(chat);
    if (!signal.aborted) {
      show({ is: 'open', chat });
      await new Promise((done) => signal.addEventListener('abort', done));
    }
    quiet();
    chat.close();
  } finally {
    vault.close();
  }
}

export function useView(chat: Chat): View {
  return useSyncExternalStore(chat.subscribe, chat.view);
}
