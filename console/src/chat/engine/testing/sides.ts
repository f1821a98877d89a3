/** People with a chat each, at one relay in memory; for tests. */

import { afterEach, expect, vi } from 'vitest';
import type { MessageRecord } from '../../state/talk';
import { Vault } from '../../state/vault';
import { Chat } from '../chat';
import type { KeySource } from '../keys';
import type { ModelLink } from './keys';
import type { ModelRelay } from './relay';

const HOME = 'ws://127.0.0.1:8765';
const open: (() => void)[] = [];
let made = 0;

afterEach(() => {
  for (const close of open.splice(0)) close();
});

export interface Side {
  chat: Chat;
  vault: Vault;
  place: string;
  peer: string;
  /** What is said, by whom, and how far it has come. */
  lines: () => [string, boolean, MessageRecord['state']][];
  close: () => void;
}

export async function side(
  relay: ModelRelay,
  name: string,
  {
    place = `engine ${made++}`,
    relays = [HOME],
    keys = null as KeySource | null,
    now = () => Date.now() / 1000,
  } = {},
): Promise<Side> {
  const vault = await Vault.open(place);
  const chat = await Chat.open({ vault, name, relays, openWay: relay.openWay, keys, now });
  const close = () => {
    chat.close();
    vault.close();
  };
  open.push(close);
  const found: Side = {
    chat,
    vault,
    place,
    peer: chat.view().conversations[0]?.peer ?? '',
    lines: () =>
      chat
        .view()
        .conversations.flatMap(({ messages }) => messages)
        .map(({ content, ours, state }) => [new TextDecoder().decode(content.text), ours, state]),
    close,
  };
  if (relay.isUp) await until(() => expect(chat.view().connection).toBe('up'));
  return found;
}

export const until = (holds: () => void) => vi.waitFor(holds, { timeout: 300_000, interval: 5 });

/** Two who know each other, by the second one's link. */
export async function two(relay: ModelRelay, link?: ModelLink): Promise<readonly [Side, Side]> {
  const keys = (sae: string) => link?.at(sae) ?? null;
  const alice = await side(relay, 'alice', { keys: keys('pages-a') });
  const bob = await side(relay, 'bob', { keys: keys('pages-b') });
  alice.peer = await alice.chat.add(await bob.chat.invite());
  await until(() => expect(bob.chat.view().conversations[0]?.contact.card).toBeTruthy());
  bob.peer = bob.chat.view().conversations[0]?.peer ?? '';
  return [alice, bob];
}

export const conversation = (one: Side) => {
  const [first] = one.chat.view().conversations;
  if (!first) throw new Error('expected a conversation');
  return first;
};
