/**
 * Who found our handle and wrote first: they wait, unanswered, until we accept or decline them.
 *
 * What a stranger calls themselves is their own word. Nothing is sent to them before we accept; then
 * they get a mailbox of their own by our card, inside the session, and are told that their words came.
 *
 * Source: spec/accounts.md, 5.
 */

import type { Bytes } from '../protocol/bytes';
import { encodeCard } from '../protocol/card';
import { Kind, makeContent } from '../protocol/content';
import {
  type Box,
  type Contact,
  cardOf,
  contacts,
  giveBox,
  isLike,
  type OwnCard,
} from '../state/contacts';
import { isStanding } from '../state/standing';
import {
  accept,
  type Blocked,
  block,
  blocked,
  decline,
  isStranger,
  met,
  type Stranger,
  strangers,
  unblock,
} from '../state/strangers';
import { type MessageRecord, messages, say, waiting, writerOf } from '../state/talk';
import type { Vault } from '../state/vault';
import { SHOWN } from './view';

/** Somebody who waits to be accepted. */
export interface Request extends Stranger {
  /** Fingerprint, in hexadecimal. */
  readonly peer: string;
  /** What they said, oldest first. */
  readonly messages: readonly MessageRecord[];
  /** Whether a contact is called the same: another identity. */
  readonly isLike: boolean;
}

/** Who is not heard. */
export interface Unheard extends Blocked {
  readonly peer: string;
}

/** What a page shows of those whom we do not know. */
export interface Strange {
  /** Who came first is first. */
  readonly requests: readonly Request[];
  readonly blocked: readonly Unheard[];
  /** What came for whoever writes first, and was not taken, since the page was opened. */
  readonly rubbish: number;
}

interface Ties {
  readonly vault: Vault;
  card(): OwnCard;
  openBox(box: Box): void;
  /** Somebody is a contact now: they are shown, and get what is due to them. */
  accepted(peer: string): Promise<void>;
  /** Somebody is blocked: what was under way with them ends. */
  parted(peer: string): Promise<void>;
  /** A contact is not as before. */
  changed(peer: string): Promise<void>;
  /** Something waits for the relay. */
  wake(): void;
  show(strange: Strange): void;
}

export class Requests {
  private strange: Strange = { requests: [], blocked: [], rubbish: 0 };

  constructor(private readonly ties: Ties) {}

  /** How somebody who waits is reached; nothing of anybody else. */
  of(peer: string): Pick<Contact, 'card'> | undefined {
    return this.strange.requests.find((each) => each.peer === peer);
  }

  /** Show who waits now. */
  async look(): Promise<void> {
    const { vault } = this.ties;
    const known = await contacts(vault);
    const requests: Request[] = [];
    for (const { key, value } of await strangers(vault)) {
      const said = await messages(vault, key);
      const shown = said.filter(({ content }) => SHOWN.has(content.kind));
      requests.push({ ...value, peer: key, messages: shown, isLike: isLike(value.name, known) });
    }
    const unheard = (await blocked(vault)).map(({ key, value }) => ({ ...value, peer: key }));
    this.show({ requests, blocked: unheard });
  }

  private show(some: Partial<Strange>): void {
    this.strange = { ...this.strange, ...some };
    this.ties.show(this.strange);
  }

  /**
   * Have somebody who waits as a contact.
   *
   * @throws ChatMisuse if they do not wait.
   */
  async accept(peer: string): Promise<void> {
    const box = await accept(this.ties.vault, peer, this.ties.card());
    this.ties.openBox(box);
    await this.look();
    await this.ties.accepted(peer);
  }

  /** Forget somebody who waits, and what they said; they are not told. @throws ChatMisuse */
  async decline(peer: string): Promise<void> {
    await decline(this.ties.vault, peer);
    await this.look();
  }

  /**
   * Hear this identity no more; they are not told. Of somebody who waits nothing is kept, of a contact
   * what was said.
   *
   * @throws ChatMisuse if they are neither.
   */
  async block(peer: string): Promise<void> {
    await block(this.ties.vault, peer);
    await this.look();
    await this.ties.parted(peer);
  }

  /** Hear somebody again, who must begin anew. */
  async unblock(peer: string): Promise<void> {
    await unblock(this.ties.vault, peer);
    await this.look();
    await this.ties.changed(peer);
  }

  /** Somebody is a contact by another way. */
  async met(peer: string): Promise<void> {
    await met(this.ties.vault, peer);
    await this.look();
  }

  /** Something came: whether its author waits to be accepted, and is not to be answered. */
  async came(peer: string): Promise<boolean> {
    const waits = await isStranger(this.ties.vault, peer);
    if (waits || this.of(peer)) await this.look();
    return waits;
  }

  /** Something that came for whoever writes first was not taken; whether it was for them. */
  async refused(mailbox: Bytes): Promise<boolean> {
    if (!(await isStanding(this.ties.vault, mailbox))) return false;
    this.show({ rubbish: this.strange.rubbish + 1 });
    return true;
  }

  /** Who wrote what came for whoever writes first; null: nobody whom we have heard of. */
  async writer(mailbox: Bytes, payload: Bytes): Promise<string | null> {
    const { vault } = this.ties;
    return (await isStanding(vault, mailbox)) ? writerOf(vault, payload) : null;
  }

  /** A contact wrote as if they were none: they hear of the mailbox that is theirs, once they have one. */
  async remind(mailbox: Bytes, peer: string, own: readonly Box[]): Promise<void> {
    const { vault } = this.ties;
    if (!(await isStanding(vault, mailbox))) return;
    // Our card is among what waits, or they hear of us otherwise.
    if (own.length > 0 && (await waiting(vault)).some(({ value }) => value.peer === peer)) return;
    const box = own[0] ?? (await giveBox(vault, peer));
    if (own.length === 0) this.ties.openBox(box);
    const id = crypto.getRandomValues(new Uint8Array(16));
    const text = encodeCard(cardOf(this.ties.card(), box));
    await say(vault, peer, makeContent({ kind: Kind.card, id, sentMs: Date.now(), text }), 'off');
    this.ties.wake();
  }
}
