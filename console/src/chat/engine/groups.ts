/**
 * Groups, as a chat has them: made, changed, left, written to; and members who come to know each other
 * by way of one who knows both (spec/chat.md, 9).
 *
 * What a change of rosters asks for is found again from what the vault has, so that a window may be
 * closed in between.
 */

import { toHex } from '../../shared/merkle';
import { ascii, type Bytes, big, Reader } from '../protocol/bytes';
import { readLink } from '../protocol/card';
import { type Content, isPadded, Kind, MAX_TEXT_BYTES, makeContent } from '../protocol/content';
import { GroupUnusable, LinkRefused } from '../protocol/errors';
import { smallFile } from '../protocol/file';
import type { Identity } from '../protocol/identity';
import {
  drawId,
  encodeRoster,
  foundGroup,
  nextRoster,
  type Roster,
  type RosterChange,
  readRoster,
  sinceOf,
} from '../protocol/roster';
import type { Protection } from '../protocol/session';
import { add, type Box, type Contact, invite, type OwnCard } from '../state/contacts';
import {
  about,
  accepted,
  activeIn,
  type Group,
  groupOf,
  groups,
  type Introduction,
  introduced,
  introduction,
  introductions,
  isIn,
  isOf,
  left,
  linkIn,
  memberOf,
  NONE_KNOWN,
  ofGroups,
  release,
  rosterOf,
  saidIn,
  setTimer,
  timeFor,
  told,
  withhold,
} from '../state/groups';
import { isBlocked } from '../state/strangers';
import {
  again,
  change,
  hexOf,
  identityOf,
  type MessageRecord,
  messagesOf,
  type SessionRecord,
  say,
  waiting,
} from '../state/talk';
import type { Change, Found, Vault } from '../state/vault';
import type { FileShown, Files } from './files';
import { Typing } from './typing';
import { type Conversation, isUnread, SHOWN } from './view';

/** A link that a member has not used for so long is made anew. */
const OFFER_AGAIN_S = 86_400;
/** Rosters that one question for them is answered with. */
const MAX_ROSTERS = 16;
/** With so many payloads for a member in the outbox, nothing is passed on to them. */
const MAX_WAITING = 128;
const SHORT = 16;
/** How far copies have come: a message in a group is where the least of its copies is. */
const LEAST_FIRST: readonly MessageRecord['state'][] = [
  'unsent',
  'waiting',
  'refused',
  'sent',
  'delivered',
  'read',
];

export interface GroupMember {
  /** Fingerprint, in hexadecimal. */
  readonly peer: string;
  /** As they call themselves; the beginning of the fingerprint while we have not met. */
  readonly name: string;
  readonly isMe: boolean;
  /** Whether they alone change who is in it. */
  readonly isAdmin: boolean;
  /** Whether there is a way to write to them yet. */
  readonly isReachable: boolean;
  /** Whether safety numbers were compared. */
  readonly isVerified: boolean;
}

/** What a member got of something that we said, under pads of the two of us. */
export interface Copy {
  readonly peer: string;
  readonly name: string;
  readonly message: MessageRecord;
}

export interface GroupMessage extends MessageRecord {
  /** Fingerprint; null: ours. */
  readonly author: string | null;
  readonly name: string;
  /** Of ours. */
  readonly copies: readonly Copy[];
}

/** A group as a page shows it. */
export interface GroupTalk {
  /** Its id, in hexadecimal. */
  readonly group: string;
  readonly name: string;
  /** Whether we are its admin. */
  readonly isAdmin: boolean;
  /** Whether we are in it; else what was said is there to be read. */
  readonly isIn: boolean;
  /** The admin first, then by name. */
  readonly members: readonly GroupMember[];
  /** Oldest first; edits and deletions are done. */
  readonly messages: readonly GroupMessage[];
  readonly unread: number;
  /** Names of who types. */
  readonly typing: readonly string[];
  /** Seconds after which what is said disappears, once read; 0: it stays. */
  readonly timerS: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Of ours that come in chunks, by `placeOf` their messages. */
  readonly files: ReadonlyMap<string, FileShown>;
}

/** What groups need of the rest of a chat. */
interface Ties {
  readonly vault: Vault;
  readonly identity: Identity;
  /** What we call ourselves. */
  readonly name: string;
  readonly files: Files;
  conversation(peer: string): Conversation | undefined;
  card(): OwnCard;
  /** A mailbox of ours is to be opened at the relay. */
  openBox(box: Box): void;
  /** Something may be sent to a contact now. */
  go(peer: string): void;
  /** Show a conversation as it is now. */
  look(peer: string): Promise<void>;
  /** Say something to somebody that nobody is shown. */
  tell(peer: string, given: Pick<Content, 'kind'> & Partial<Content>): Promise<void>;
  /** They are told that what they said came. */
  answer(peer: string): Promise<void>;
  /** Count what somebody said as read, and tell them. */
  saw(peer: string, some: readonly MessageRecord[]): Promise<void>;
  show(all: readonly GroupTalk[]): void;
  /** Something is to go to the relay. */
  wake(): void;
  /** Seconds since the epoch. */
  now(): number;
}

export class Groups {
  private kept: readonly Group[] = [];
  /** What was said in groups, by whom or to whom. */
  private readonly said = new Map<string, readonly MessageRecord[]>();
  private files: ReadonlyMap<string, FileShown> = new Map();
  private readonly typists = new Typing();
  /** One thing at a time. */
  private line: Promise<unknown> = Promise.resolve();
  private saidMs = 0;
  readonly me: string;

  constructor(private readonly ties: Ties) {
    this.me = toHex(ties.identity.public.fingerprint);
  }

  /** Go on with what was begun before. */
  async open(): Promise<void> {
    await this.load();
    await this.turn(async () => {});
  }

  // What people do; each throws GroupUnusable where it cannot be

  /** A group of ourselves, its admin, and contacts who can be reached; its id. */
  async new(name: string, others: readonly string[]): Promise<string> {
    for (const each of others) this.checkReachable(each);
    const roster = await foundGroup(this.ties.identity, name, others);
    return this.turn(async () => {
      await this.keep(roster, []);
      return roster.group;
    });
  }

  /** Take a contact in, who sees what is said from now on. */
  async add(group: string, peer: string): Promise<void> {
    this.checkReachable(peer);
    await this.change(group, { add: [peer] });
  }

  /** Have a member in it no more: nothing goes to them afterwards. */
  remove(group: string, peer: string): Promise<void> {
    return this.change(group, { remove: [peer] });
  }

  rename(group: string, name: string): Promise<void> {
    return this.change(group, { name });
  }

  /** Have another member be the admin from now on. */
  async handOver(group: string, peer: string): Promise<void> {
    const handTo = await identityOf(this.ties.vault, peer);
    if (!handTo)
      throw new GroupUnusable('expected a member whose keys are known here, got another');
    await this.change(group, { handTo });
  }

  /** Be in it no more, and tell the others. */
  leave(group: string): Promise<void> {
    return this.turn(async () => {
      const { vault } = this.ties;
      const kept = await memberOf(vault, this.me, group);
      const others = activeIn(kept).filter((peer) => peer !== this.me);
      if (adminOf(kept) === this.me && others.length > 0)
        throw new GroupUnusable('make somebody else the admin first');
      await again(async () => {
        const changes = await left(vault, group, this.me, kept.number);
        for (const peer of others) changes.push(...(await withhold(vault, group, peer)));
        await vault.commit(changes);
      });
      const text = big(kept.number, 4);
      for (const peer of others)
        if (this.reaches(peer)) await this.ties.tell(peer, about(Kind.left, group, text));
    });
  }

  /** Make it anew without its admin, whose device is lost, and leave it; the new one's id. */
  async renew(group: string): Promise<string> {
    const kept = await memberOf(this.ties.vault, this.me, group);
    const without = [this.me, adminOf(kept)];
    if (adminOf(kept) === this.me)
      throw new GroupUnusable('expected a group of another admin, got one of ours');
    const others = activeIn(kept).filter((peer) => !without.includes(peer));
    const made = await this.new(kept.roster.name, others);
    await this.leave(group);
    return made;
  }

  /** Say something in a group: a copy for each is kept, and goes when it can. */
  async say(group: string, words: string): Promise<void> {
    await this.put(group, Kind.text, ascii(words));
  }

  /**
   * Send a file: whole in its message, and a large one in chunks, sealed once for all.
   *
   * @throws ChatMisuse if it is too large, or cannot be read.
   */
  async attach(group: string, name: string, file: Blob): Promise<void> {
    if (file.size <= MAX_TEXT_BYTES) {
      const bytes = new Uint8Array(await file.arrayBuffer());
      await this.put(group, Kind.file, smallFile(name, bytes));
      return;
    }
    await memberOf(this.ties.vault, this.me, group);
    const id = await drawId(group, this.me);
    await this.ties.files.attachToAll(this.me, group, id, name, file, (text, also) =>
      this.put(group, Kind.fileKey, text, { id }, also),
    );
  }

  /** Answer a message, or change or take back one of ours; `target` is its id. */
  async sayOf(
    group: string,
    kind: typeof Kind.reply | typeof Kind.edit | typeof Kind.delete,
    target: Bytes,
    words = '',
  ): Promise<void> {
    await this.put(group, kind, ascii(words), { target });
  }

  /** Let what is said from now on disappear so many seconds after it was read; 0: it stays. */
  async setTimer(group: string, timerS: number): Promise<void> {
    await setTimer(this.ties.vault, group, timerS);
    await this.put(group, Kind.timer, new Uint8Array(), { timerS });
  }

  private async put(
    group: string,
    kind: Kind,
    text: Bytes,
    rest: Pick<Partial<Content>, 'id' | 'target' | 'timerS'> = {},
    also: (others: readonly string[]) => Promise<Change[]> = async () => [],
  ): Promise<void> {
    this.saidMs = Math.max(Date.now(), this.saidMs + 1);
    const sentMs = this.saidMs;
    const id = await drawId(group, this.me);
    const make = async ({ timerS, ...by }: Pick<Content, 'group' | 'view' | 'timerS'>) => {
      const timer = timerS && kind !== Kind.delete ? { timerS } : {};
      return makeContent({ kind, id, sentMs, text, ...by, ...timer, ...rest });
    };
    const others = await saidIn(this.ties.vault, this.me, group, make, also);
    await this.load();
    for (const peer of others) {
      await this.ties.look(peer);
      if (this.reaches(peer)) this.ties.go(peer);
    }
  }

  /** Say that we type, to whom nothing else waits for; it takes no pad. */
  async typing(group: string): Promise<void> {
    if (!this.typists.isDue(group)) return;
    const kept = await memberOf(this.ties.vault, this.me, group);
    const busy = new Set((await waiting(this.ties.vault)).map(({ value }) => value.peer));
    for (const peer of activeIn(kept)) {
      const waits = busy.has(peer) || this.said.get(peer)?.some(isUnsent);
      if (peer !== this.me && this.reaches(peer) && !waits)
        await this.ties.tell(peer, about(Kind.typing, group));
    }
  }

  /** Try at once what was kept for want of pad. */
  resend(group: string): void {
    const kept = this.kept.find(({ roster }) => roster.group === group);
    for (const peer of kept ? activeIn(kept) : []) if (this.reaches(peer)) this.ties.go(peer);
  }

  /** What is there was seen; who said it is told. */
  async read(group: string): Promise<void> {
    for (const [peer, all] of this.said) {
      const unseen = all.filter((each) => isUnread(each) && isOf(each.content, group));
      if (unseen.length > 0) await this.ties.saw(peer, unseen);
    }
  }

  // What comes

  /** What is said in or about a group changes, in the commit in which it is heard. */
  readonly told = (
    peer: string,
    content: Content,
    protections: readonly Protection[],
  ): Promise<Change[]> => {
    if (isPadded(content.kind)) this.typists.ended(`${hexOf(content.group)} ${peer}`);
    return told(this.ties.vault, this.me, peer, content, protections, this.ties.now());
  };

  /** Something has come, and counts as far as it does at once. */
  async came(peer: string, content: Content): Promise<void> {
    const group = hexOf(content.group);
    const { kind } = content;
    if (kind === Kind.card) await this.turn(async () => {});
    if (!group) return;
    if (isPadded(kind)) await this.askIfEarly(peer, content);
    else if (kind === Kind.typing) await this.types(peer, group);
    else if (kind === Kind.rosterAsk) await this.answerAsk(peer, group, content);
    else
      await this.turn(async () => {
        if (kind === Kind.roster) await this.rosterCame(peer, content);
      });
    await this.load();
  }

  /** What was said with somebody is as a conversation of two has read it. */
  heard(peer: string, all: readonly MessageRecord[]): void {
    const before = this.said.get(peer)?.length ?? 0;
    const some = all.filter(({ content }) => content.group !== undefined);
    this.said.set(peer, some);
    if (before + some.length > 0 || this.kept.length > 0) this.show();
  }

  /** Files of ours in groups are not as they were. */
  async filesChanged(): Promise<void> {
    this.files = await this.ties.files.shown(this.me);
    this.show();
  }

  /** Ask a member whose words we may have missed for newer rosters of all groups that we share. */
  async askAfter(peer: string): Promise<void> {
    for (const kept of this.kept)
      if (isIn(kept, this.me) && isIn(kept, peer))
        await this.ties.tell(peer, about(Kind.rosterAsk, kept.roster.group, big(kept.number, 4)));
  }

  private async types(peer: string, group: string): Promise<void> {
    const kept = await groupOf(this.ties.vault, group);
    if (!kept || !isIn(kept, this.me) || !isIn(kept, peer)) return;
    this.typists.heard(`${group} ${peer}`);
  }

  private async askIfEarly(peer: string, { id, group }: Content): Promise<void> {
    const isHere = await this.ties.vault.read(messagesOf(peer), toHex(id));
    if (!isHere) await this.ask(peer, hexOf(group));
  }

  /** Ask for the rosters that we lack, now and then. */
  private async ask(peer: string, group: string): Promise<void> {
    const { vault } = this.ties;
    const time = await timeFor(vault, `${group} ${peer}`, this.ties.now());
    if (!time) return;
    await vault.commit([time]);
    const kept = await groupOf(vault, group);
    const text = big(kept ? kept.number : NONE_KNOWN, 4);
    await this.ties.tell(peer, about(Kind.rosterAsk, group, text));
  }

  private async rosterCame(peer: string, { text }: Content): Promise<void> {
    const roster = await readRoster(text);
    const kept = await groupOf(this.ties.vault, roster.group);
    if (kept && roster.number > kept.number) await this.ask(peer, roster.group);
    for (const each of await release(this.ties.vault, this.me, roster.group)) {
      if (each.refused) await this.ties.tell(each.peer, { kind: Kind.refused, text: each.refused });
      else {
        await this.ties.answer(each.peer);
        if (each.content.kind === Kind.fileKey) await this.ties.files.came(each.peer, each.content);
      }
      await this.ties.look(each.peer);
    }
  }

  /** Give a member the rosters that they lack; the first one that they see is the admin's to give. */
  private async answerAsk(peer: string, group: string, content: Content): Promise<void> {
    const kept = await groupOf(this.ties.vault, group);
    if (!kept || !isIn(kept, this.me) || !isIn(kept, peer)) return;
    let number = new Reader(content.text).number(4);
    if (number === NONE_KNOWN) {
      if (adminOf(kept) !== this.me) return;
      number = kept.number - 1;
    }
    const last = Math.min(number + MAX_ROSTERS, kept.number);
    for (let each = number + 1; each <= last; each += 1) {
      const roster = await rosterOf(this.ties.vault, group, each);
      if (!roster) break;
      await this.ties.tell(peer, about(Kind.roster, group, encodeRoster(roster)));
    }
  }

  // Changes of rosters

  private change(group: string, what: RosterChange): Promise<void> {
    return this.turn(() => this.next(group, what));
  }

  /** Sign, keep and send the roster that follows. */
  private async next(group: string, what: RosterChange): Promise<void> {
    const kept = await memberOf(this.ties.vault, this.me, group);
    // Who has left is taken out first, so that they are taken in anew.
    const back = what.add?.filter(
      (peer) => sinceOf(kept.roster, peer) !== null && !isIn(kept, peer),
    );
    if (back && back.length > 0) {
      await this.next(group, { remove: back });
      return this.next(group, what);
    }
    if (what.handTo && !isIn(kept, toHex(what.handTo.fingerprint)))
      throw new GroupUnusable('expected a member to be the admin, got somebody else');
    const roster = await nextRoster(this.ties.identity, kept.roster, what);
    await this.keep(roster, what.remove ?? []);
  }

  private async keep(roster: Roster, removed: readonly string[]): Promise<void> {
    const { vault } = this.ties;
    await again(async () => vault.commit(await accepted(vault, this.me, roster)));
    for (const peer of [...roster.members.map((each) => each.peer), ...removed])
      if (peer !== this.me && this.reaches(peer))
        await this.ties.tell(peer, about(Kind.roster, roster.group, encodeRoster(roster)));
  }

  /** Do something, and what it asks for, before anything else is done about groups. */
  private turn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.line.then(async () => {
      const made = await work();
      await this.settle();
      await this.load();
      return made;
    });
    this.line = done.catch(() => {}); // who asked is told
    return done;
  }

  /** Take out who left, introduce who must be, and use what introductions came. */
  private async settle(): Promise<void> {
    for (const kept of await groups(this.ties.vault)) {
      if (!isIn(kept, this.me)) continue;
      const remove = kept.roster.members
        .map(({ peer }) => peer)
        .filter((peer) => !isIn(kept, peer));
      if (remove.length > 0 && adminOf(kept) === this.me)
        await this.next(kept.roster.group, { remove });
      for (const member of activeIn(kept)) await this.offer(kept, member);
    }
    for (const found of await introductions(this.ties.vault)) await this.introduce(found);
    this.ties.wake();
  }

  /** Make a link for a member to whom there is no way, if it is us who makes it. */
  private async offer(kept: Group, member: string): Promise<void> {
    const { vault, identity } = this.ties;
    if (member <= this.me || this.reaches(member)) return;
    if (await isBlocked(vault, member)) return;
    const others = [adminOf(kept), ...activeIn(kept)];
    const between = others.find(
      (peer) => peer !== this.me && peer !== member && this.reaches(peer),
    );
    if (!between) return;
    const now = this.ties.now();
    const time = await timeFor(vault, `link for ${member}`, now, OFFER_AGAIN_S);
    if (!time) return;
    const { link, box } = await invite(vault, identity, this.ties.card(), now, member);
    this.ties.openBox(box);
    const text = introduction(this.me, member, link);
    const content = about(Kind.introduction, kept.roster.group, text);
    await say(vault, between, content, 'off', [time]);
  }

  private async introduce(found: Found<Introduction>): Promise<void> {
    const { vault } = this.ties;
    const { group, maker, reader, text } = found.value;
    const kept = await groupOf(vault, group);
    const all = [this.me, maker, reader];
    if (!kept || !all.every((peer) => isIn(kept, peer))) {
      await vault.commit([introduced(found)]);
    } else if (reader === this.me) {
      const isMet = this.reaches(maker) || (await isBlocked(vault, maker));
      if (!isMet) await this.meet(found.value);
      await vault.commit([introduced(found)]);
    } else if (await this.canPass(reader)) {
      await say(vault, reader, about(Kind.introduction, group, text), 'off', [introduced(found)]);
    } else await vault.commit([introduced(found)]);
  }

  private async canPass(reader: string): Promise<boolean> {
    const all = await waiting(this.ties.vault);
    const many = all.filter(({ value }) => value.peer === reader).length;
    return this.reaches(reader) && many < MAX_WAITING;
  }

  /** Begin with a member whose link came; it must be of the identity that the roster names. */
  private async meet(came: Introduction): Promise<void> {
    const { vault, identity } = this.ties;
    try {
      const read = await readLink(linkIn(came), this.ties.now());
      if (toHex(read.bundle.identity.fingerprint) !== came.maker) return;
      const { peer, box } = await add(vault, identity, read, this.ties.card(), this.ties.now());
      if (box) this.ties.openBox(box);
      await this.ties.look(peer);
      this.ties.go(peer);
    } catch (error) {
      if (!(error instanceof LinkRefused)) throw error; // they make another
    }
  }

  // What is shown

  private reaches(peer: string): boolean {
    return Boolean(this.ties.conversation(peer)?.contact.card);
  }

  private checkReachable(peer: string): void {
    if (this.reaches(peer)) return;
    throw new GroupUnusable('expected contacts who can be reached, got one who cannot be yet');
  }

  /** Read what the vault has of groups, and show it. */
  private async load(): Promise<void> {
    const { vault } = this.ties;
    this.kept = await groups(vault);
    if (this.kept.length > 0) this.files = await this.ties.files.shown(this.me);
    const members = this.kept.flatMap(({ roster }) => roster.members.map(({ peer }) => peer));
    for (const peer of new Set([this.me, ...members]))
      if (!this.ties.conversation(peer)) this.said.set(peer, await ofGroups(vault, peer));
    this.show();
  }

  private show(): void {
    const all = this.kept.map((each) => this.talk(each));
    this.ties.show(all.toSorted((one, other) => latest(other) - latest(one)));
  }

  private talk(kept: Group): GroupTalk {
    const { roster, timerS, since } = kept;
    const { group, name } = roster;
    const shown = this.messages(group);
    const types = (peer: string) => this.typists.has(`${group} ${peer}`);
    return {
      group,
      name,
      timerS,
      since,
      files: new Map([...this.files].filter(([, file]) => file.group === group)),
      isAdmin: adminOf(kept) === this.me,
      isIn: isIn(kept, this.me),
      members: this.members(kept),
      messages: shown,
      unread: shown.filter(isUnread).length,
      typing: activeIn(kept)
        .filter(types)
        .map((peer) => this.called(peer)),
    };
  }

  private members(kept: Group): GroupMember[] {
    const found = activeIn(kept).map((peer): GroupMember => {
      const isMe = peer === this.me;
      const contact: Contact | undefined = this.ties.conversation(peer)?.contact;
      return {
        peer,
        name: this.called(peer),
        isMe,
        isAdmin: peer === adminOf(kept),
        isReachable: isMe || this.reaches(peer),
        isVerified: isMe || Boolean(contact?.isVerified),
      };
    });
    const first = ({ isAdmin }: GroupMember) => (isAdmin ? 0 : 1);
    return found.toSorted(
      (one, other) => first(one) - first(other) || one.name.localeCompare(other.name),
    );
  }

  private called(peer: string): string {
    if (peer === this.me) return this.ties.name;
    return this.ties.conversation(peer)?.contact.name ?? peer.slice(0, SHORT);
  }

  private messages(group: string): GroupMessage[] {
    const found: GroupMessage[] = [];
    for (const [peer, all] of this.said)
      for (const message of all) {
        if (!isOf(message.content, group) || !SHOWN.has(message.content.kind)) continue;
        if (peer === this.me) found.push(this.ours(message));
        else if (!message.ours)
          found.push({ ...message, author: peer, name: this.called(peer), copies: [] });
      }
    return found.toSorted((one, other) => one.content.sentMs - other.content.sentMs);
  }

  /** What we said, as far as the least of its copies has come. */
  private ours(message: MessageRecord): GroupMessage {
    const id = toHex(message.content.id);
    const copies: Copy[] = [];
    for (const [peer, all] of this.said) {
      const copy = all.find(({ ours, content }) => ours && toHex(content.id) === id);
      if (copy && peer !== this.me) copies.push({ peer, name: this.called(peer), message: copy });
    }
    const [least] = copies.toSorted(
      (one, other) =>
        LEAST_FIRST.indexOf(one.message.state) - LEAST_FIRST.indexOf(other.message.state),
    );
    const sealed = copies.filter(({ message: { protections } }) => protections.length > 0);
    const weakest = sealed.find(({ message: { protections } }) =>
      protections.some(({ padSource }) => padSource === null),
    );
    const { protections } = (weakest ?? sealed[0] ?? { message }).message;
    const state = least?.message.state ?? 'sent';
    return { ...message, state, protections, author: null, name: this.ties.name, copies };
  }

  /** What disappears does so when its time has come; who types no more is shown no more. */
  async sweep(): Promise<void> {
    const { vault } = this.ties;
    let isOther = this.typists.sweep();
    for (const [peer, all] of this.said)
      for (const { content } of all.filter(isOver)) {
        await again(async () => {
          const found = await vault.read<MessageRecord>(messagesOf(peer), toHex(content.id));
          if (found) await vault.commit([change(messagesOf(peer), found, null)]);
        });
        isOther = true;
        this.said.set(peer, await ofGroups(vault, peer));
      }
    if (isOther) this.show();
  }
}

/** What sessions of members' copies measured, by the id of their pad. */
export function recordsIn(
  { messages }: GroupTalk,
  conversations: readonly Conversation[],
): ReadonlyMap<string, SessionRecord> {
  const peers = new Set(
    messages.flatMap(({ author, copies }) => [author, ...copies.map(({ peer }) => peer)]),
  );
  const some = conversations.filter(({ peer }) => peers.has(peer));
  return new Map(some.flatMap(({ records }) => [...records]));
}

const adminOf = ({ roster }: Group): string => toHex(roster.admin.fingerprint);
const isUnsent = ({ ours, state }: MessageRecord) => ours && state === 'unsent';

/** Of ours, time runs from when it was said; of theirs, from when it was read. */
function isOver({ content, ours, readMs, state }: MessageRecord): boolean {
  if (!content.timerS || state === 'unsent' || state === 'waiting') return false;
  const from = ours ? content.sentMs : readMs;
  return from !== undefined && from + 1000 * content.timerS <= Date.now();
}

function latest({ since, messages }: GroupTalk): number {
  return Math.max(since, messages.at(-1)?.content.sentMs ?? 0);
}
