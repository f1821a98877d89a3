/**
 * A session begun anew inside the old one, by who cannot open what comes on it any more.
 *
 * Who has lost pad that the peer's keys were mixed with is still heard on the old session. There they
 * give keys to begin with; the peer begins by them, and both say again, under the same ids, what was
 * not confirmed, so that it counts once. No pad of before serves either of them any more. Source:
 * spec/chat.md, 2.10.
 *
 * What is to be done stands in the vault with what it follows from, so that a window may be closed in
 * between.
 */

import { fromHex } from '../../shared/merkle';
import type { Bytes } from '../protocol/bytes';
import { Kind, makeContent, split } from '../protocol/content';
import { BundleRefused } from '../protocol/errors';
import type { Identity } from '../protocol/identity';
import { begin } from '../protocol/opening';
import { type Bundle, encodeBundle, readBundle } from '../protocol/prekeys';
import { LINK_S } from './contacts';
import { PAD, type PadRecord } from './pads';
import { freshBundle } from './person';
import {
  ASKED,
  added,
  again,
  BEGUN,
  change,
  type MessageRecord,
  messagesOf,
  OUTBOX,
  sayAll,
  sessionAdded,
  type Waiting,
  WISH,
  type Wish,
} from './talk';
import type { Change, Vault } from './vault';

/** Whose wish it was that a new session took the place of the one before. */
export type Renewed = 'ours' | 'theirs';

const newId = (): Bytes => crypto.getRandomValues(new Uint8Array(16));

/** Ask somebody to begin a new session with us. @throws ChatMisuse if there is none with them. */
export async function ask(
  vault: Vault,
  identity: Identity,
  peer: string,
  now: number,
): Promise<void> {
  const bundle = await freshBundle(vault, identity, now, LINK_S);
  const asked = { kind: Kind.renew, id: newId(), sentMs: Date.now(), text: encodeBundle(bundle) };
  await sayAll(vault, peer, split(makeContent(asked)), async () => {
    const before = await vault.read<Bytes>(ASKED, peer);
    const key = bundle.oneTime?.id;
    return [
      before ? change(ASKED, before, key) : added(ASKED, peer, key),
      ...(await padsGone(vault, peer, (pad) => pad.ours)),
    ];
  });
}

/** Whether we have asked for one that is not there yet. */
export async function isAsked(vault: Vault, peer: string): Promise<boolean> {
  return (await vault.read(ASKED, peer)) !== null;
}

/**
 * Do what a wish of theirs, or the session that we asked for, wants done.
 *
 * @param now Seconds since the epoch.
 * @returns By whose wish there is a new session; null if nothing was to be done.
 *   Nothing comes of a wish with keys that are not theirs, or do not count.
 */
export async function goOn(
  vault: Vault,
  identity: Identity,
  peer: string,
  now: number,
): Promise<Renewed | null> {
  const wish = await vault.read<Wish>(WISH, peer);
  if (wish) {
    const bundle = await bundleOf(wish.value, peer, now);
    if (!bundle) {
      await vault.commit([change(WISH, wish, null)]);
      return null;
    }
    await again(async () => {
      const session = await begin(identity, bundle);
      await vault.commit([
        change(WISH, wish, null),
        await sessionAdded(vault, session),
        ...(await padsGone(vault, peer, () => true)),
        ...(await saidAgain(vault, peer)),
      ]);
    });
    // What begins the session goes also if there is nothing else to say.
    const { id } = wish.value;
    const told = { kind: Kind.delivered, id: newId(), sentMs: Date.now(), text: id };
    await sayAll(vault, peer, [makeContent(told)], async () => []);
    return 'theirs';
  }
  return again(async () => {
    const begun = await vault.read(BEGUN, peer);
    if (!begun) return null;
    await vault.commit([
      change(BEGUN, begun, null),
      ...(await padsGone(vault, peer, (pad) => !pad.ours)),
      ...(await saidAgain(vault, peer)),
    ]);
    return 'ours';
  });
}

async function bundleOf({ text }: Wish, peer: string, now: number): Promise<Bundle | null> {
  try {
    return await readBundle(text, fromHex(peer), now);
  } catch (error) {
    if (!(error instanceof BundleRefused)) throw error;
    return null;
  }
}

async function padsGone(
  vault: Vault,
  peer: string,
  which: (pad: PadRecord) => boolean,
): Promise<Change[]> {
  const all = await vault.list<PadRecord>(PAD);
  const gone = all.filter(({ value }) => value.peer === peer && which(value));
  return gone.map((each) => change(PAD, each, null));
}

/** What was sealed and not confirmed waits once more; what they refused stays refused. */
async function saidAgain(vault: Vault, peer: string): Promise<Change[]> {
  const kind = messagesOf(peer);
  const unconfirmed = (await vault.list<MessageRecord>(kind)).filter(
    ({ value: { ours, state, deleted, brought } }) =>
      ours && !deleted && !brought && (state === 'waiting' || state === 'sent'),
  );
  const ids = new Set(unconfirmed.map(({ key }) => key));
  const sealed = (await vault.list<Waiting>(OUTBOX)).filter(
    ({ value }) => value.peer === peer && value.message !== null && ids.has(value.message),
  );
  const unsent = { state: 'unsent', protections: [] } as const;
  return [
    ...unconfirmed.map((each) => change(kind, each, { ...each.value, ...unsent })),
    ...sealed.map((each) => change(OUTBOX, each, null)),
  ];
}

/** Those with whom something of it is to be done. */
export async function unfinished(vault: Vault): Promise<string[]> {
  const all = [...(await vault.list(WISH)), ...(await vault.list(BEGUN))];
  return [...new Set(all.map(({ key }) => key))];
}
