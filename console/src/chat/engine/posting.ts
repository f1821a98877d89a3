/** Payloads that wait in the vault go to their relays, each person's in their order. */

import { fromHex } from '../../shared/merkle';
import { RelayRefused, RelayUnreachable } from '../protocol/errors';
import { drop } from '../protocol/frames';
import type { Contact } from '../state/contacts';
import { taken, type Waiting, waiting } from '../state/talk';
import type { Vault } from '../state/vault';
import type { RelayLine } from './line';
import type { Trouble } from './view';

interface Ties {
  readonly vault: Vault;
  /** Addresses, and a line to each, the first of them behind another. */
  readonly relays: readonly string[];
  readonly lines: readonly RelayLine[];
  contact(peer: string): Contact | undefined;
  /** Show a conversation as it is now. */
  look(peer: string): Promise<void>;
}

const canonical = (url: string) => (URL.canParse(url) ? new URL(url).href : url);
const REFUSALS: Readonly<Record<number, Trouble>> = { 2: 'refused', 3: 'full' };

export class Posting {
  private readonly troubles = new Map<string, Trouble>();
  private isSending = false;
  /** Whether something may wait that was not there when sending began. */
  private isMore = false;

  constructor(private readonly ties: Ties) {}

  /** Why what waits for somebody does not go. */
  trouble(peer: string): Trouble | null {
    return this.troubles.get(peer) ?? null;
  }

  /** Everything that waits goes, each person's in their order. */
  async send(): Promise<void> {
    this.isMore = true;
    if (this.isSending) return;
    this.isSending = true;
    try {
      while (this.isMore) {
        this.isMore = false;
        await this.sendAll();
      }
    } finally {
      this.isSending = false;
    }
  }

  private async sendAll(): Promise<void> {
    const stuck = new Map<string, Trouble>();
    for (const { key, value } of await waiting(this.ties.vault)) {
      const { peer } = value;
      if (stuck.has(peer)) continue;
      const trouble = await this.drop(key, value);
      if (trouble) stuck.set(peer, trouble);
      else if (value.message) await this.ties.look(peer);
    }
    const before = [...this.troubles.keys()];
    this.troubles.clear();
    for (const [peer, trouble] of stuck) this.troubles.set(peer, trouble);
    for (const peer of new Set([...before, ...stuck.keys()])) await this.ties.look(peer);
  }

  /** Leave one payload at its relay; why it stays here. */
  private async drop(token: string, { peer, payload, ttlS }: Waiting): Promise<Trouble | null> {
    const card = this.ties.contact(peer)?.card;
    if (!card) return 'no card';
    const at = this.ties.relays.findIndex((url) => canonical(url) === canonical(card.relay));
    const line = this.ties.lines[at + 1];
    if (at < 0 || !line) return 'other relay';
    const name = fromHex(token);
    try {
      await line.ask((request) => drop(request, card.right, name, ttlS, payload));
    } catch (error) {
      if (error instanceof RelayRefused) return REFUSALS[error.reason] ?? 'no relay';
      if (error instanceof RelayUnreachable) return 'no relay';
      throw error;
    }
    await taken(this.ties.vault, token);
    return null;
  }
}
