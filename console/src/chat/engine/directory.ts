/**
 * Where people find each other: handles at our relay. Whose a handle is, is remembered, and another
 * one later is an alarm; whoever looks for somebody does not say who they are.
 *
 * Source: spec/accounts.md, 5.
 */

import type { Somebody } from '../protocol/accounts';
import type { Bytes } from '../protocol/bytes';
import { handleOf, prefixOf } from '../protocol/handles';
import { added, again } from '../state/talk';
import type { Vault } from '../state/vault';
import type { OwnLines } from './own';

/** Fingerprints, by the handle. */
const HANDLE = 'identity of handle';

interface Ties {
  readonly vault: Vault;
  readonly own: Pick<OwnLines, 'ask'>;
  /** Seconds since the epoch. */
  now(): number;
}

export class Directory {
  constructor(private readonly ties: Ties) {}

  /** Listed handles that begin so, at most ten. @throws HandleMalformed, and as `OwnLines.ask`. */
  async search(typed: string): Promise<readonly string[]> {
    const prefix = prefixOf(typed);
    return this.ties.own.ask((line) => line.search(prefix));
  }

  /**
   * Whose a handle is, to begin a session with.
   *
   * @throws HandleMalformed; IdentityChanged if it is somebody else's than before: an alarm; and as
   *   `AccountLine.take` and `OwnLines.ask`.
   */
  async lookUp(typed: string): Promise<Somebody> {
    const { vault, own, now } = this.ties;
    const handle = handleOf(typed);
    const known = (await vault.read<Bytes>(HANDLE, handle))?.value ?? null;
    const found = await own.ask((line) => line.take(handle, known, now()));
    await again(async () => {
      if (await vault.read(HANDLE, handle)) return;
      await vault.commit([added(HANDLE, handle, found.bundle.identity.fingerprint)]);
    });
    return found;
  }
}
