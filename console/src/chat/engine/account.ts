/**
 * Our handle at our relay: the session there, and what others find.
 *
 * A password is used and not kept. While the page has its chat, keys for those who write first are kept
 * at the relay, and the mailbox that they write to is drawn anew from time to time.
 *
 * Source: spec/accounts.md, 3 to 5. The same rules as on the Python side:
 * `bellwire.chat.messenger.account`.
 */

import {
  type AccountLine,
  type AccountSession,
  type Device,
  isDeviceName,
  MAX_PASSWORD_BYTES,
  MIN_PASSWORD_BYTES,
  PREKEYS_AT_ONCE,
  type Stock,
  type Visibility,
} from '../protocol/accounts';
import { ascii, type Bytes, equal } from '../protocol/bytes';
import { encodeCard } from '../protocol/card';
import {
  AccountRefused,
  ChatMisuse,
  RelayMisbehaved,
  RelayRefused,
  RelayUnreachable,
} from '../protocol/errors';
import { handleOf } from '../protocol/handles';
import type { Identity } from '../protocol/identity';
import { ONE_TIME } from '../protocol/prekeys';
import { type KeptAccount, keepAccount, keptAccount } from '../state/account';
import { type Box, cardOf, type OwnCard } from '../state/contacts';
import { dropExpired, keepPrekeys, LINK_S, lastingPrekey } from '../state/person';
import { giveUpBoxes, standingBox } from '../state/standing';
import type { Vault } from '../state/vault';
import type { OwnLines } from './own';

/** The relay hands out a one-time prekey a minute at most, so that a hundred outlast this. */
export const PUBLISH_EVERY_S = 3600;
/** One-time prekeys that wait at the relay: as many people may write first in one absence. */
export const STOCK = 100;
/** After how long we try again to publish; the last of them from then on. */
const AGAIN_S = [5, 20, 60, 300] as const;
const LATE_S = 300;
export const INVITATION_BYTES = 16;
/** Reasons of accounts that mean something to us. */
const [UNSIGNED, SESSION_OVER, FULL] = [7, 8, 5];

/** A password that a new account may not have. */
export class PasswordUnfit extends ChatMisuse {
  override name = 'PasswordUnfit';
}

/** What was typed twice is not the same. */
export class PasswordsDiffer extends ChatMisuse {
  override name = 'PasswordsDiffer';

  constructor() {
    super('expected the same password twice, got two');
  }
}

/** What was typed is no invitation of an operator. */
export class InvitationMalformed extends ChatMisuse {
  override name = 'InvitationMalformed';
}

/** Our handle as a page shows it; nothing of it is secret. */
export interface OwnHandle {
  readonly handle: string;
  readonly isLoggedIn: boolean;
  readonly isOurs: boolean;
  readonly visibility: Visibility | null;
  /** `waits`: keys are on their way; `there`: who asks finds us; else why nobody does. */
  readonly published: 'waits' | 'there' | Error;
}

interface Ties {
  readonly vault: Vault;
  readonly identity: Identity;
  readonly own: Pick<OwnLines, 'ask'>;
  /** What this browser is called in the list of devices. */
  readonly device: string;
  card(): OwnCard;
  /** Have a mailbox at the relay. @throws RelayRefused, RelayUnreachable. */
  openBox(box: Box): Promise<void>;
  /** Some mailboxes are not ours any more. */
  closeBoxes(): Promise<void>;
  isUp(): boolean;
  show(handle: OwnHandle | null): void;
  /** Do what nobody waits for. */
  later(work: () => Promise<void>): void;
  /** Seconds since the epoch. */
  now(): number;
}

/** What a password is in bytes. @throws PasswordUnfit if a new account may not have it. */
function newPassword(typed: string): Bytes {
  const password = ascii(typed);
  if (password.length < MIN_PASSWORD_BYTES || password.length > MAX_PASSWORD_BYTES)
    throw new PasswordUnfit(
      `expected a password of ${MIN_PASSWORD_BYTES} to ${MAX_PASSWORD_BYTES} bytes, got another`,
    );
  return password;
}

function invitationOf(typed: string): Bytes | null {
  const bare = typed.replaceAll(/\s/g, '');
  if (bare === '') return null;
  if (!/^[0-9a-f]{32}$/i.test(bare))
    throw new InvitationMalformed(`expected an invitation of ${2 * INVITATION_BYTES} digits`);
  return Uint8Array.from(bare.match(/../g) ?? [], (two) => Number.parseInt(two, 16));
}

export class Account {
  private published: OwnHandle['published'] = 'waits';
  /** When keys are published next, in seconds since the epoch. */
  private due = 0;
  private tries = 0;
  /** One publication at a time. */
  private publishing: Promise<void> = Promise.resolve();

  constructor(private readonly ties: Ties) {}

  /** Show how our handle stands. */
  async look(): Promise<void> {
    const kept = await keptAccount(this.ties.vault);
    const shown = kept && {
      handle: kept.handle,
      isLoggedIn: kept.session !== null,
      isOurs: kept.isOurs,
      visibility: kept.visibility,
      published: this.published,
    };
    this.ties.show(shown);
  }

  // Having an account. Every call that asks the relay throws as `OwnLines.ask`, and AccountRefused.

  /**
   * Have a handle at our relay, and be found by it.
   *
   * @throws HandleMalformed, PasswordUnfit, InvitationMalformed; ChatMisuse if we have another.
   */
  async signUp(typed: string, password: string, invitation: string): Promise<void> {
    const { vault, own, identity, device } = this.ties;
    const handle = handleOf(typed);
    const kept = await keptAccount(vault);
    if (kept && kept.handle !== handle)
      throw new ChatMisuse(`expected to sign up once, got another handle beside @${kept.handle}`);
    const [bytes, invited] = [newPassword(password), invitationOf(invitation)];
    const session = await own.ask((line) => line.signUp(handle, bytes, identity, device, invited));
    // Who knows the handle finds it, at first (spec/accounts.md, 4).
    await this.begin({ handle, session, isOurs: true, visibility: 1 });
  }

  /** Begin a session in this browser. @throws HandleMalformed. */
  async logIn(typed: string, password: string): Promise<void> {
    const handle = handleOf(typed);
    const bytes = ascii(password);
    const session = await this.ties.own.ask((line) => line.logIn(handle, bytes, this.ties.device));
    const kept = await keptAccount(this.ties.vault);
    const visibility = kept?.handle === handle ? kept.visibility : null;
    await this.begin({ handle, session, isOurs: true, visibility });
  }

  private async begin(account: KeptAccount): Promise<void> {
    await keepAccount(this.ties.vault, account);
    this.published = 'waits';
    [this.due, this.tries] = [0, 0];
    await this.look();
    this.ties.later(() => this.mind());
  }

  /** End the session of this browser: nobody finds us by the handle any more. */
  async logOut(): Promise<void> {
    await this.ended((line, session) => line.logOut(session));
  }

  /** End all sessions, this one too. */
  async logOutEverywhere(): Promise<void> {
    await this.ended((line, session) => line.logOutEverywhere(session));
  }

  /** Where the account is logged in; that which logged in first is first. */
  async devices(): Promise<readonly Device[]> {
    const { session } = await this.there();
    return this.ties.own.ask((line) => line.devices(session));
  }

  /** Call a device something else. @throws ChatMisuse if it is no name for one. */
  async nameDevice(device: Bytes, typed: string): Promise<void> {
    const name = typed.trim();
    if (!isDeviceName(name))
      throw new ChatMisuse('a device’s name has 1 to 64 characters that print');
    const { session } = await this.there();
    await this.ties.own.ask((line) => line.nameDevice(session, device, name));
  }

  /** End the session of one device, maybe of this browser. */
  async logOutDevice(device: Bytes): Promise<void> {
    const { session } = await this.there();
    if (equal(device, session.device)) await this.logOut();
    else await this.ties.own.ask((line) => line.logOut(session, device));
  }

  /** All that the relay keeps of the account, as a JSON document. */
  async export(): Promise<string> {
    const { session } = await this.there();
    return this.ties.own.ask((line) => line.export(session));
  }

  private async ended(
    how: (line: AccountLine, session: AccountSession) => Promise<void>,
  ): Promise<void> {
    const { kept, session } = await this.there();
    try {
      await this.ties.own.ask((line) => how(line, session));
    } catch (error) {
      // It has ended already.
      if (!(error instanceof AccountRefused && error.reason === SESSION_OVER)) throw error;
    }
    await this.leave({ ...kept, session: null });
  }

  private async leave(kept: KeptAccount | null): Promise<void> {
    const { vault } = this.ties;
    await keepAccount(vault, kept);
    await giveUpBoxes(vault);
    await this.look();
    await this.ties.closeBoxes();
  }

  /** Choose who finds us. */
  async setVisibility(visibility: Visibility): Promise<void> {
    const { kept, session } = await this.there();
    await this.ties.own.ask((line) => line.setVisibility(session, visibility));
    await keepAccount(this.ties.vault, { ...kept, visibility });
    await this.look();
  }

  /**
   * Have a new password; other sessions end.
   *
   * @param old Null: it is forgotten, and our identity proves us.
   * @throws PasswordUnfit.
   */
  async setPassword(password: string, old: string | null): Promise<void> {
    const kept = await keptAccount(this.ties.vault);
    if (!kept) throw new ChatMisuse('expected a handle at the relay, got none');
    const bytes = newPassword(password);
    const prover = old === null ? this.ties.identity : ascii(old);
    await this.ties.own.ask((line) => line.setPassword(kept.handle, bytes, prover));
    await this.logIn(kept.handle, password);
  }

  /** Have the account forgotten by the relay; nobody can have its handle again. */
  async delete(password: string): Promise<void> {
    const { kept, session } = await this.there();
    await this.ties.own.ask((line) => line.delete(session, kept.handle, ascii(password)));
    await this.leave(null);
  }

  private async there(): Promise<{ kept: KeptAccount; session: AccountSession }> {
    const kept = await keptAccount(this.ties.vault);
    if (!kept?.session) throw new AccountRefused(SESSION_OVER);
    return { kept, session: kept.session };
  }

  // Being found

  /** Draw another mailbox for whoever writes first, and take nothing more from those before it. */
  async newBox(): Promise<void> {
    await this.there();
    await giveUpBoxes(this.ties.vault);
    await this.publish();
  }

  /** Publish what is due, if the relay answers; what stands in the way is shown. */
  async mind(): Promise<void> {
    const { now, isUp, vault } = this.ties;
    if (!isUp() || now() < this.due) return;
    const kept = await keptAccount(vault);
    if (!kept?.session || !kept.isOurs || now() < this.due) return;
    // Asked again meanwhile, it is not due.
    this.due = now() + PUBLISH_EVERY_S;
    try {
      await this.publish();
      this.tries = 0;
    } catch (error) {
      await this.refused(kept, error);
    }
    await this.look();
  }

  private async refused(kept: KeptAccount, error: unknown): Promise<void> {
    const { now, vault } = this.ties;
    const isLine = error instanceof RelayUnreachable || error instanceof RelayMisbehaved;
    if (!isLine && !(error instanceof AccountRefused || error instanceof RelayRefused)) throw error;
    const again = AGAIN_S[Math.min(this.tries, AGAIN_S.length - 1)] ?? LATE_S;
    this.due = now() + (isLine ? again : LATE_S);
    this.tries += 1;
    if (!isLine || this.published !== 'there') this.published = error;
    if (!(error instanceof AccountRefused)) return;
    if (error.reason === UNSIGNED) await keepAccount(vault, { ...kept, isOurs: false });
    if (error.reason === SESSION_OVER) await keepAccount(vault, { ...kept, session: null });
  }

  /** Have the relay show how we are reached, and as many keys as others may take. */
  private publish(): Promise<void> {
    const next = this.publishing.catch(() => {}).then(() => this.publishNow());
    this.publishing = next;
    return next;
  }

  private async publishNow(): Promise<void> {
    const { vault, identity, own, now } = this.ties;
    const { kept, session } = await this.there();
    await dropExpired(vault, now());
    const box = await standingBox(vault, now());
    await this.ties.openBox(box);
    const card = encodeCard(cardOf(this.ties.card(), box));
    const lasting = await lastingPrekey(vault, identity, now(), LINK_S);
    await own.ask(async (line) => {
      const stock = await line.publishCard(session, kept.handle, card, identity, lasting);
      this.published = 'there';
      await this.look();
      await this.refill(line, session, stock);
    });
    await this.ties.closeBoxes();
  }

  private async refill(line: AccountLine, session: AccountSession, first: Stock): Promise<void> {
    const { vault, identity, now } = this.ties;
    const notAfter = Math.floor(now()) + LINK_S;
    let missing = STOCK - first.oneTime;
    while (missing > 0) {
      const many = Math.min(PREKEYS_AT_ONCE, missing);
      const some = await keepPrekeys(vault, identity, ONE_TIME, notAfter, many);
      try {
        await line.publishPrekeys(session, some);
      } catch (error) {
        if (error instanceof AccountRefused && error.reason === FULL) return;
        throw error;
      }
      missing -= many;
    }
  }
}
