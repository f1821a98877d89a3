/** Pads that others' messages are under: they are fetched at our own site, as they are needed. */

import { toHex } from '../../shared/merkle';
import { type Bytes, equal } from '../protocol/bytes';
import type { Content } from '../protocol/content';
import type { Contact } from '../state/contacts';
import { dropPad, forget, offersOf, takePad } from '../state/offers';
import { PAD } from '../state/pads';
import { type SessionRecord, unseal } from '../state/talk';
import type { Vault } from '../state/vault';
import { type KeySource, KeysAbsent, KeysGone } from './keys';
import type { Warning } from './view';

interface Ties {
  readonly vault: Vault;
  readonly keys: KeySource | null;
  contact(peer: string): Pick<Contact, 'card'> | undefined;
  /** Something may be sent to a contact now. */
  go(peer: string): void;
}

const uuid = (id: Bytes) =>
  toHex(id).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

export class TheirPads {
  private readonly warnings = new Map<string, Warning>();

  constructor(private readonly ties: Ties) {}

  /** Why they could not send, last; null if they could since. */
  warning(peer: string): Warning | null {
    return this.warnings.get(peer) ?? null;
  }

  /** What they could not send has come after all. */
  calm(peer: string): void {
    this.warnings.delete(peer);
  }

  /**
   * Have the pad of a message that came before it.
   *
   * @returns Whether it is here now; if not, it can never be had.
   * @throws KeysAbsent if it cannot be had now: what came stays at the relay.
   */
  async fetched(peer: string, padId: Bytes): Promise<boolean> {
    const { vault, keys } = this.ties;
    const sae = this.ties.contact(peer)?.card?.sae;
    if (!keys || !sae) return false;
    const isOffered = (await offersOf(vault, peer)).some(({ value }) => equal(value.padId, padId));
    if (isOffered) {
      await this.takeOffers(peer);
      if ((await offersOf(vault, peer)).some(({ value }) => equal(value.padId, padId)))
        throw new KeysAbsent('its keys are not to be had now');
      return (await vault.read(PAD, toHex(padId))) !== null;
    }
    try {
      const { pad, record } = await keys.session(sae, uuid(padId));
      if (pad === null) return false;
      const source = record?.source ?? 'vendor';
      await takePad(vault, peer, { padId, source, pad, record });
      return true;
    } catch (error) {
      if (error instanceof KeysGone) return false;
      throw error;
    }
  }

  /** Fetch every pad that somebody has offered; what cannot be had now stays offered. */
  async takeOffers(peer: string): Promise<void> {
    const { vault, keys } = this.ties;
    const sae = this.ties.contact(peer)?.card?.sae;
    for (const offer of await offersOf(vault, peer)) {
      const { padId, keyIds } = offer.value;
      try {
        if (!keys || !sae) throw new KeysGone('there is no key server');
        await takePad(vault, peer, { padId, ...(await keys.fetch(sae, keyIds)) }, offer);
      } catch (error) {
        if (error instanceof KeysGone) await forget(vault, offer);
        else if (!(error instanceof KeysAbsent)) throw error;
      }
    }
  }

  /** They can never have the pad that a message of ours was under. */
  async sealAnew(peer: string, { text }: Content): Promise<void> {
    const { vault } = this.ties;
    await dropPad(vault, text.slice(16));
    if (await unseal(vault, peer, toHex(text.slice(0, 16)))) this.ties.go(peer);
  }

  /** A session of theirs gave no pad: what our own node measured says why. */
  async warned(peer: string, { text }: Content): Promise<void> {
    const { keys } = this.ties;
    const sae = this.ties.contact(peer)?.card?.sae;
    let record: SessionRecord | null = null;
    try {
      if (keys && sae) record = (await keys.session(sae, uuid(text.slice(0, 16)))).record;
    } catch (error) {
      if (!(error instanceof KeysGone || error instanceof KeysAbsent)) throw error;
    }
    this.warnings.set(peer, { atMs: Date.now(), record });
  }
}
