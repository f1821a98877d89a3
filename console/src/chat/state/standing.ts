/**
 * Mailboxes of ours for everybody who finds our handle, and writes first.
 *
 * The right to the newest is on a card that the relay shows to whoever asks, so that it is nobody's
 * secret: what comes there is of strangers until we accept them, and each of them then gets a mailbox
 * of their own. It is drawn anew from time to time; those before it are listened to as long as
 * somebody may still have their card, unless they are given up for the rubbish that comes there.
 */

import { toHex } from '../../shared/merkle';
import type { Bytes } from '../protocol/bytes';
import { type Box, newBox } from './contacts';
import { added, again, change } from './talk';
import type { Change, Found, Vault } from './vault';

const STANDING = 'standing mailbox';
const NEW_AFTER_S = 7 * 86_400;
/** How long one is listened to after another took its place: as long as a relay keeps payloads. */
const KEEP_S = 14 * 86_400;

interface Standing extends Box {
  /** Seconds since the epoch. */
  readonly drawn: number;
  /** When it is closed, in seconds since the epoch; null: its card is shown. */
  readonly until: number | null;
}

const all = (vault: Vault) => vault.list<Standing>(STANDING);

/**
 * That whose card is shown; another one, where it is old.
 *
 * @param now Seconds since the epoch.
 */
export function standingBox(vault: Vault, now: number): Promise<Box> {
  return again(async () => {
    const current = (await all(vault)).find(({ value }) => value.until === null);
    if (current && now - current.value.drawn < NEW_AFTER_S) return current.value;
    const box = newBox();
    const value: Standing = { ...box, drawn: now, until: null };
    const before = current && { ...current.value, until: now + KEEP_S };
    await vault.commit([
      added(STANDING, toHex(box.mailbox), value),
      ...(current && before ? [change(STANDING, current, before)] : []),
    ]);
    return box;
  });
}

/** Take nothing more that comes to any of them; `overBoxes` has them until they are closed. */
export function giveUpBoxes(vault: Vault): Promise<void> {
  return again(async () => {
    const found = await all(vault);
    const over = found.map((each) => change(STANDING, each, { ...each.value, until: 0 }));
    if (over.length > 0) await vault.commit(over);
  });
}

/** A mailbox that was somebody's alone is closed as those are, and nothing that comes there counts. */
export function givenUp(box: Box): Change {
  const value: Standing = { mailbox: box.mailbox, right: box.right, drawn: 0, until: 0 };
  return added(STANDING, toHex(box.mailbox), value);
}

/** Those that are listened to. */
export async function standingBoxes(vault: Vault, now: number): Promise<readonly Box[]> {
  const counts = ({ until }: Standing) => until === null || until > now;
  return (await all(vault)).map(({ value }) => value).filter(counts);
}

export async function isStanding(vault: Vault, mailbox: Bytes): Promise<boolean> {
  const found = await vault.read<Standing>(STANDING, toHex(mailbox));
  return found !== null && found.value.until !== 0;
}

/** Those that are to be closed at the relay. */
export async function overBoxes(vault: Vault, now: number): Promise<readonly Found<Box>[]> {
  return (await all(vault)).filter(({ value: { until } }) => until !== null && until <= now);
}

/** The relay has closed it. */
export function forgetBox(vault: Vault, box: Found<Box>): Promise<void> {
  return vault.commit([change(STANDING, box, null)]);
}
