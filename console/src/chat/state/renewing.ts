/**
 * A session in the place of another: both say again on it, under the same ids, what was not
 * confirmed, so that it counts once, and send under no pad of before.
 *
 * It is begun by a link, since its maker may have lost the one before. Or it is begun inside the one
 * before, by the wish of who has lost pad that the peer's keys were mixed with, and is still heard
 * there: then no pad of before is taken either. Source: spec/chat.md, 2.10 and 2.11.
 *
 * What is to be done stands in the vault with what it follows from, so that a window may be closed in
 * between.
 */

import { fromHex, toHex } from '../../shared/merkle';
import type { Bytes } from '../protocol/bytes';
import { type Content, Kind, makeContent, split } from '../protocol/content';
import { BundleRefused } from '../protocol/errors';
import type { Identity } from '../protocol/identity';
import { type Bundle, encodeBundle, readBundle } from '../protocol/prekeys';
import { PAD, type PadRecord } from './pads';
import { freshBundle, LINK_S } from './person';
import {
  ASKED,
  added,
  again,
  BEGUN,
  begunBy,
  CONTACT,
  change,
  type MessageRecord,
  messagesOf,
  OUTBOX,
  sayAll,
  type Waiting,
  WISH,
  type Wish,
} from './talk';
import type { Change, Vault } from './vault';

/** Whose wish it was that a new session took the place of the one before. */
export type Renewed = 'ours' | 'theirs';

/** One-time prekeys of others that a session of ours was begun by, with the second when they end. */
const USED = 'prekey of another';

const newId = (): Bytes => crypto.getRandomValues(new Uint8Array(16));

/** Whether we have begun a session by these keys, which they then destroyed. */
export async function isUsed(vault: Vault, { oneTime }: Bundle): Promise<boolean> {
  return oneTime !== null && (await vault.read(USED, toHex(oneTime.id))) !== null;
}

/**
 * Begin a session with the owner of a bundle, and go on there.
 *
 * @param first What is said first.
 * @param now Seconds since the epoch.
 * @param besides What changes in the same commit.
 */
export function meet(
  vault: Vault,
  identity: Identity,
  bundle: Bundle,
  first: readonly Content[],
  now: number,
  besides: () => Promise<readonly Change[]>,
): Promise<void> {
  return again(async () => {
    const used = await vault.list<number>(USED);
    const over = used.filter(({ value }) => value <= now);
    const { oneTime } = bundle;
    await vault.commit([
      ...(await besides()),
      ...over.map((each) => change(USED, each, null)),
      ...(oneTime ? [added(USED, toHex(oneTime.id), oneTime.notAfter)] : []),
      ...(await begunAnew(vault, identity, bundle, first, isOurs)),
    ]);
  });
}

/**
 * Somebody has begun another session by a link of ours, since theirs may be gone.
 *
 * @returns What that changes; nothing where it is not a contact, whom we have told nothing.
 */
export async function metBy(vault: Vault, peer: string): Promise<Change[]> {
  if (!(await vault.read(CONTACT, peer))) return [];
  return [...(await padsGone(vault, peer, isOurs)), ...(await saidAgain(vault, peer))];
}

async function begunAnew(
  vault: Vault,
  identity: Identity,
  bundle: Bundle,
  first: readonly Content[],
  pads: (pad: PadRecord) => boolean,
): Promise<Change[]> {
  const peer = toHex(bundle.identity.fingerprint);
  return [
    ...(await begunBy(vault, identity, bundle, first)),
    ...(await padsGone(vault, peer, pads)),
    ...(await saidAgain(vault, peer)),
  ];
}

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
      ...(await padsGone(vault, peer, isOurs)),
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
    const { id } = wish.value;
    const told = { kind: Kind.delivered, id: newId(), sentMs: Date.now(), text: id };
    await again(async () => {
      const anew = await begunAnew(vault, identity, bundle, [makeContent(told)], () => true);
      await vault.commit([change(WISH, wish, null), ...anew]);
    });
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

const isOurs = (pad: PadRecord) => pad.ours;

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
