/**
 * Conversations of one person in one browser: what comes from the relay and goes to it, receipts, and
 * what a page shows of it.
 *
 * Whatever is to leave stands in the vault first, and goes as soon as there is a line; what came is
 * safe at the relay until it stands in the vault. So windows may be closed, and lines end, at any time.
 */

import { fromHex, toHex } from '../../shared/merkle';
import { ascii, type Bytes, equal, join } from '../protocol/bytes';
import { type ContactLink, readLink } from '../protocol/card';
import { type Content, isPadded, Kind, MAX_TEXT_BYTES, makeContent } from '../protocol/content';
import {
  ChatMisuse,
  ChatRefused,
  GroupRefused,
  PadMissing,
  RelayRefused,
  RelayUnreachable,
  Replayed,
  SessionAbsent,
} from '../protocol/errors';
import { smallFile } from '../protocol/file';
import { type Challenge, close, listen, login, open, safe } from '../protocol/frames';
import { readCode } from '../protocol/historyCode';
import type { Identity } from '../protocol/identity';
import { safetyCode, safetyNumber } from '../protocol/safety';
import {
  add,
  type Box,
  boxes,
  type Contact,
  changeContact,
  contacts,
  expired,
  invite,
  policyOf,
  rename,
} from '../state/contacts';
import { carried } from '../state/files';
import { type Given, give, readHistory, type Taken, take } from '../state/history';
import { offered, recordsOf } from '../state/offers';
import { PAD, type PadRecord, padLeft } from '../state/pads';
import { ownIdentity } from '../state/person';
import {
  ask as askRenewal,
  goOn,
  isAsked,
  metBy,
  type Renewed,
  unfinished,
} from '../state/renewing';
import { forgetBox, overBoxes, standingBoxes } from '../state/standing';
import { isBlocked, toldBy } from '../state/strangers';
import {
  added,
  again,
  change,
  disappear,
  hasSession,
  hear,
  isOver,
  type MessageRecord,
  messages,
  messagesOf,
  say,
} from '../state/talk';
import type { Vault } from '../state/vault';
import { Account } from './account';
import { Directory } from './directory';
import { Files } from './files';
import { Groups } from './groups';
import type { KeySource } from './keys';
import { Lately } from './lately';
import { type Delivered, RelayLine } from './line';
import { NO_NOTES, Notes } from './notes';
import { OwnLines } from './own';
import { Posting } from './posting';
import { Requests } from './requests';
import { Sending } from './sending';
import { TheirPads } from './theirPads';
import { Typing } from './typing';
import { type Connection, type Conversation, isUnread, SHOWN, type View } from './view';
import type { OpenWay, Way } from './way';

const AGAIN_MS = 5000;
const SWEEP_MS = 1000;
/** A sign of life counts that long, as at the terminal. */
const HERE_MS = 60_000;
const RELAY = 'relay';
/** What we are in the list of devices of a handle. */
const DEVICE = 'a browser';

interface ChatParts {
  readonly vault: Vault;
  /** What we call ourselves. */
  readonly name: string;
  /** Those that the console reaches; the first one has our mailboxes. */
  readonly relays: readonly string[];
  readonly openWay: OpenWay;
  /** Of pads; null: none are to be had. */
  readonly keys: KeySource | null;
  /** Seconds since the epoch. */
  readonly now?: () => number;
}

/** What files that come in chunks are carried by: much of it, and nothing that is said. */
const CARRIES: ReadonlySet<Kind> = new Set([Kind.chunk, Kind.ask, Kind.stop]);
const newId = (): Bytes => crypto.getRandomValues(new Uint8Array(16));

export class Chat {
  private readonly lines: RelayLine[];
  private readonly way: Way;
  private readonly listeners = new Set<() => void>();
  private readonly timers: ReturnType<typeof setInterval>[];
  /** One thing at a time that came, in its order. */
  private inbox: Promise<void> = Promise.resolve();
  /** Which life of the owner's line it is: numbers of another one mean nothing. */
  private life = 0;
  private challenge: Challenge | null = null;
  /** Whether something at the relay waits for its pad. */
  private isWanting = false;
  private readonly typists = new Typing();
  private readonly signs = new Lately(HERE_MS);
  /** By whose wish there is a new session, since this page was opened. */
  private readonly renewals = new Map<string, Renewed>();
  private looks = 0;
  /** The last look at each conversation that is shown. */
  private readonly looked = new Map<string, number>();
  private readonly sending: Sending;
  private readonly theirPads: TheirPads;
  private readonly posting: Posting;
  private readonly own: OwnLines;
  readonly directory: Directory;
  /** Our handle. */
  readonly handle: Account;
  /** Who waits to be accepted. */
  readonly requests: Requests;
  readonly files: Files;
  readonly groups: Groups;
  readonly notes: Notes;
  private isClosed = false;
  private saidMs = 0;
  private shown: View = {
    connection: 'connecting',
    conversations: [],
    groups: [],
    notes: NO_NOTES,
    strange: { requests: [], blocked: [], rubbish: 0 },
    handle: null,
    unshown: 0,
    isOtherRelay: false,
  };

  private constructor(
    private readonly parts: ChatParts,
    readonly identity: Identity,
    private readonly account: Identity,
  ) {
    const way: { now: Way | null } = { now: null };
    const through: Way = {
      send: (line, frame) =>
        way.now?.send(line, frame) ?? Promise.reject(new RelayUnreachable('no way')),
      own: (line, open) =>
        way.now?.own(line, open) ?? Promise.reject(new RelayUnreachable('no way')),
      close: () => way.now?.close(),
    };
    this.lines = [0, ...parts.relays.map((_, at) => at + 1)].map(
      (number) =>
        new RelayLine(through, number, {
          began: (challenge) => this.later(() => this.began(number, challenge)),
          delivered: (what) => {
            if (number === 0) this.delivered(what);
          },
          ended: () => this.ended(number),
        }),
    );
    const { vault, keys, relays } = parts;
    const contact = (peer: string) => this.of(peer)?.contact;
    const look = (peer: string) => this.look(peer);
    this.posting = new Posting({ vault, relays, lines: this.lines, contact, look });
    this.theirPads = new TheirPads({
      vault,
      keys,
      contact: (peer) => contact(peer) ?? this.requests.of(peer),
      go: (peer) => this.sending.go(peer),
    });
    this.sending = new Sending({
      vault,
      keys,
      contact,
      stood: (peer) => this.stood(peer),
      changed: look,
      sealed: () => this.later(() => this.posting.send()),
      tell: (peer, kind, text) => this.sealed(peer, { kind, text }),
      later: (work) => this.later(work),
    });
    this.files = new Files({
      vault,
      keep: (peer, id, text) => this.keep(peer, Kind.fileKey, text, { id }),
      sealed: () => this.later(() => this.posting.send()),
      changed: (peer) => this.filesChanged(peer),
      later: (work) => this.later(work),
    });
    this.groups = new Groups({
      vault,
      identity,
      name: parts.name,
      files: this.files,
      conversation: (peer) => this.of(peer),
      card: () => this.ownCard(),
      openBox: (box) => this.later(() => this.openBox(box)),
      go: (peer) => this.sending.go(peer),
      look,
      tell: (peer, given) => this.sealed(peer, given),
      answer: (peer) => this.answer(peer),
      saw: (peer, some) => this.saw(peer, some),
      show: (groups) => this.show({ groups }),
      wake: () => this.later(() => this.posting.send()),
      now: () => this.now(),
    });
    this.notes = new Notes({
      vault,
      me: this.groups.me,
      files: this.files,
      show: (notes) => this.show({ notes }),
    });
    this.own = new OwnLines(through, ({ relayId }) => this.isKnown(relays[0] ?? '', relayId));
    this.directory = new Directory({ vault, own: this.own, now: () => this.now() });
    this.handle = new Account({
      vault,
      identity,
      own: this.own,
      device: DEVICE,
      card: () => this.ownCard(),
      openBox: (box) => this.openBox(box),
      closeBoxes: () => this.closeBoxes(),
      isUp: () => this.shown.connection === 'up',
      show: (handle) => this.show({ handle }),
      later: (work) => this.later(work),
      now: () => this.now(),
    });
    this.requests = new Requests({
      vault,
      card: () => this.ownCard(),
      openBox: (box) => this.later(() => this.openBox(box)),
      accepted: (peer) => this.accepted(peer),
      parted: (peer) => this.parted(peer),
      changed: look,
      wake: () => this.later(() => this.posting.send()),
      show: (strange) => this.show({ strange }),
    });
    const endAll = (connection: Connection) => {
      for (const line of this.lines) line.end();
      this.own.endAll();
      this.show({ connection });
    };
    way.now = parts.openWay({
      opened: () => endAll('connecting'),
      frame: (line, frame) => this.lines[line]?.take(frame) ?? this.own.take(line, frame),
      ended: (line) => {
        this.lines[line]?.end();
        this.own.ended(line);
        if (line === 0) this.show({ connection: 'down' });
      },
      session: (mark, now) => this.sending.unfolds(mark, now),
      lost: () => endAll('down'),
    });
    this.way = through;
    this.timers = [
      setInterval(() => this.later(() => this.retry()), AGAIN_MS),
      setInterval(() => this.later(() => this.sweep()), SWEEP_MS),
    ];
  }

  /** Begin: everything that was there before is in `view` when it returns. */
  static async open(parts: ChatParts): Promise<Chat> {
    const identity = await ownIdentity(parts.vault);
    const chat = new Chat(parts, identity, await ownIdentity(parts.vault, 'relay'));
    await chat.files.open();
    for (const { key } of await contacts(parts.vault)) {
      await chat.look(key);
      chat.sending.go(key);
    }
    await chat.groups.open();
    await chat.notes.look();
    await chat.handle.look();
    await chat.requests.look();
    for (const peer of await unfinished(parts.vault)) chat.later(() => chat.renewed(peer));
    return chat;
  }

  /** End; what waits goes the next time. */
  close(): void {
    this.isClosed = true;
    for (const timer of this.timers) clearInterval(timer);
    this.sending.close();
    this.files.close();
    this.way.close();
    for (const line of this.lines) line.end();
    this.own.endAll();
    this.listeners.clear();
  }

  /** Whether pads are to be had at our site. */
  get hasKeys(): boolean {
    return this.parts.keys !== null;
  }

  readonly view = (): View => this.shown;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  // What people do

  /** A contact link for one person, whose mailbox is open when it is returned. */
  async invite(): Promise<string> {
    const own = this.ownCard();
    const { link, box } = await invite(this.parts.vault, this.identity, own, this.now());
    await this.openBox(box);
    return link;
  }

  /**
   * Know whoever made a contact link.
   *
   * @returns Their fingerprint, in hexadecimal.
   * @throws LinkRefused, ChatMisuse, or RelayRefused and RelayUnreachable of our own relay.
   */
  async add(link: string): Promise<string> {
    return this.know(await readLink(link, this.now()));
  }

  /**
   * Know whoever has a handle at our relay.
   *
   * @returns Their fingerprint, in hexadecimal.
   * @throws As `Directory.lookUp`, and `add`.
   */
  async addHandle(typed: string): Promise<string> {
    return this.know(await this.directory.lookUp(typed));
  }

  private async know(read: ContactLink): Promise<string> {
    if (await isBlocked(this.parts.vault, toHex(read.bundle.identity.fingerprint)))
      throw new ChatMisuse(
        'you have blocked them: hear them again first, in their conversation or by My handle',
      );
    if (!this.owner.isUp) throw new RelayUnreachable('your relay does not answer now');
    const now = this.now();
    const { peer, box } = await add(this.parts.vault, this.identity, read, this.ownCard(), now);
    await this.requests.met(peer);
    await this.look(peer);
    if (box) await this.openBox(box);
    this.sending.go(peer); // of what was said in groups, or on a session before
    this.later(() => this.posting.send());
    return peer;
  }

  /** Say something: it is kept, and goes when it can. */
  async say(peer: string, words: string): Promise<void> {
    await this.keep(peer, Kind.text, ascii(words));
  }

  /**
   * Send a file: whole in its message, and a large one in chunks.
   *
   * @throws ChatMisuse if it is too large, or cannot be read.
   */
  async attach(peer: string, name: string, file: Blob): Promise<void> {
    if (file.size > MAX_TEXT_BYTES) await this.files.attach(peer, name, file);
    else {
      const bytes = new Uint8Array(await file.arrayBuffer());
      await this.keep(peer, Kind.file, smallFile(name, bytes));
    }
  }

  /** Answer a message, or change or take back one of ours; `target` is its id. */
  async sayOf(
    peer: string,
    kind: typeof Kind.reply | typeof Kind.edit | typeof Kind.delete,
    target: Bytes,
    words = '',
  ): Promise<void> {
    const said = this.of(peer)?.messages.find(({ content }) => equal(content.id, target));
    if (said?.brought && kind === Kind.delete) {
      await disappear(this.parts.vault, peer, target);
      await this.look(peer);
      return;
    }
    if (said?.brought && kind === Kind.edit)
      throw new ChatMisuse('only the device that said it can change it for both');
    await this.keep(peer, kind, ascii(words), { target });
  }

  /** Let what both say from now on disappear so many seconds after it was read; 0: it stays. */
  async setTimer(peer: string, timerS: number): Promise<void> {
    await changeContact(this.parts.vault, peer, { timerS });
    await this.keep(peer, Kind.timer, new Uint8Array(), { timerS });
  }

  private async keep(
    peer: string,
    kind: Kind,
    text: Bytes,
    rest: Pick<Partial<Content>, 'id' | 'target' | 'timerS'> = {},
  ): Promise<void> {
    if (!this.of(peer)?.isMet) throw new ChatMisuse('exchange contact links with them first');
    const timerS = this.of(peer)?.contact.timerS ?? 0;
    // Later ones are later, however fast somebody types.
    this.saidMs = Math.max(Date.now(), this.saidMs + 1);
    const timer = timerS && kind !== Kind.delete ? { timerS } : {};
    const content = { kind, id: newId(), sentMs: this.saidMs, text, ...timer, ...rest };
    await this.sending.keep(peer, makeContent(content));
  }

  /** Say that we type; only while the relay answers. */
  async typing(peer: string): Promise<void> {
    if (this.shown.connection !== 'up' || !this.typists.isDue(peer)) return;
    await this.sealed(peer, { kind: Kind.typing });
  }

  /** Try at once what was kept for want of pad. */
  resend(peer: string): void {
    this.sending.go(peer);
  }

  /** Choose how what we say is protected, or say that the safety numbers were compared. */
  async set(
    peer: string,
    to: Partial<Pick<Contact, 'policy' | 'mode' | 'isVerified'>>,
  ): Promise<void> {
    await changeContact(this.parts.vault, peer, to);
    await this.look(peer);
    this.sending.go(peer);
  }

  /**
   * Call somebody otherwise; they do not learn of it.
   *
   * @throws ChatMisuse if the name cannot be used.
   */
  async rename(peer: string, name: string): Promise<void> {
    await rename(this.parts.vault, peer, name);
    await this.look(peer);
  }

  /**
   * Have somebody begin a new session with us: what they say cannot be opened here any more.
   *
   * @throws ChatMisuse if there is no session with them.
   */
  async renewSession(peer: string): Promise<void> {
    await askRenewal(this.parts.vault, this.identity, peer, this.now());
    await this.look(peer);
    this.later(() => this.posting.send());
  }

  /** Go on in a new session, if there is one by the wish of either. */
  private async renewed(peer: string): Promise<void> {
    const by = await goOn(this.parts.vault, this.identity, peer, this.now());
    if (by === null) return;
    this.renewals.set(peer, by);
    await this.groups.askAfter(peer);
    await this.look(peer);
    this.sending.go(peer);
    this.later(() => this.posting.send());
  }

  /** Somebody who waited is a contact: what they said is answered, and what they offered fetched. */
  private async accepted(peer: string): Promise<void> {
    await this.look(peer);
    await this.answer(peer);
    await this.look(peer);
    await this.theirPads.takeOffers(peer);
    this.later(() => this.posting.send());
  }

  /** Somebody is blocked: nothing that was under way with them goes on. */
  private async parted(peer: string): Promise<void> {
    this.sending.drop(peer);
    this.theirPads.calm(peer);
    this.typists.ended(peer);
    this.signs.ended(peer);
    this.renewals.delete(peer);
    await this.files.drop(peer);
    await this.look(peer);
    this.later(() => this.closeBoxes());
  }

  /** Sixty digits that both compare. */
  safety(peer: string): Promise<string> {
    return safetyNumber(this.identity.public.fingerprint, fromHex(peer));
  }

  /** What our QR code says, for somebody to scan. */
  safetyCode(peer: string): Bytes {
    return safetyCode(this.identity.public.fingerprint, fromHex(peer));
  }

  /** What is there was seen; they are told. */
  async read(peer: string): Promise<void> {
    const unseen = this.of(peer)?.messages.filter(isUnread) ?? [];
    if (unseen.length > 0) await this.saw(peer, unseen);
  }

  private async saw(peer: string, unseen: readonly MessageRecord[]): Promise<void> {
    const heard = unseen.filter(({ brought }) => !brought);
    if (heard.length > 0) await this.receipt(peer, Kind.read, heard);
    await this.mark(peer, unseen, (value) => ({ ...value, state: 'seen', readMs: Date.now() }));
    await this.look(peer);
    this.later(() => this.posting.send());
  }

  /** What was said, and whom we know, for another device of ours. */
  giveHistory(): Promise<Given> {
    return give(this.parts.vault, this.identity, Math.floor(1000 * this.now()));
  }

  /**
   * Take what another device of ours has said: all of it, or nothing.
   *
   * @param code As somebody typed it.
   * @throws CodeMalformed, HistoryRefused; nothing was taken.
   */
  async takeHistory(file: Blob, code: string): Promise<Taken> {
    const { vault } = this.parts;
    const came = await readHistory(file, await readCode(code));
    const taken = await take(vault, this.notes.me, came, Math.floor(1000 * this.now()));
    for (const { key } of await contacts(vault)) await this.look(key);
    await this.notes.look();
    await this.requests.look();
    return taken;
  }

  // What comes

  private get owner(): RelayLine {
    return this.lines[0] as RelayLine;
  }

  private async openBox({ mailbox, right }: Box): Promise<void> {
    await this.owner.ask((request) => open(request, mailbox, right));
  }

  private async began(number: number, challenge: Challenge): Promise<void> {
    const url = this.parts.relays[Math.max(0, number - 1)] ?? '';
    if (!(await this.isKnown(url, challenge.relayId))) {
      this.lines[number]?.end();
      this.show({ isOtherRelay: true });
      return;
    }
    if (number === 0) {
      this.challenge = challenge;
      await this.listen(challenge);
    }
    await this.posting.send();
  }

  /** Have everything delivered that is ours. */
  private async listen(challenge: Challenge): Promise<void> {
    this.life += 1;
    const { life } = this;
    try {
      await this.owner.ask((request) => login(request, this.account, challenge));
    } catch (error) {
      this.show({ connection: 'down' });
      throw error;
    }
    for (const mailbox of await expired(this.parts.vault, this.now()))
      await this.owner.ask((request) => close(request, mailbox));
    await this.closeBoxes();
    const all = await boxes(this.parts.vault, this.now());
    all.push(...(await standingBoxes(this.parts.vault, this.now())));
    // One that the relay refuses keeps no other from being heard.
    await Promise.allSettled(all.map((box) => this.openBox(box)));
    await this.owner.ask(listen);
    if (life !== this.life) return;
    this.show({ connection: 'up' });
    for (const { peer } of this.shown.conversations) await this.answer(peer);
    this.later(() => this.handle.mind());
  }

  /** Boxes that nobody may use any more are closed. */
  private async closeBoxes(): Promise<void> {
    for (const over of await overBoxes(this.parts.vault, this.now())) {
      try {
        await this.owner.ask((request) => close(request, over.value.mailbox));
      } catch (error) {
        if (!(error instanceof RelayRefused)) throw error; // the relay has it no more
      }
      await forgetBox(this.parts.vault, over);
    }
  }

  /** What did not go is tried again; so is what the relay refused for the moment. */
  private async retry(): Promise<void> {
    const isDue = this.shown.connection === 'down' || this.isWanting;
    if (this.owner.isUp && isDue && this.challenge) {
      this.isWanting = false;
      await this.listen(this.challenge);
    }
    await this.posting.send();
    await this.files.mind();
    await this.handle.mind();
  }

  /** Whether it is the relay that was there at first; the first one is. */
  private isKnown(url: string, relayId: Bytes): Promise<boolean> {
    const { vault } = this.parts;
    return again(async () => {
      const found = await vault.read<Bytes>(RELAY, url);
      if (found) return equal(found.value, relayId);
      await vault.commit([added(RELAY, url, relayId)]);
      return true;
    });
  }

  private ended(number: number): void {
    if (number === 0) this.show({ connection: 'down' });
  }

  private delivered(what: Delivered): void {
    const { life } = this;
    this.inbox = this.inbox.then(async () => {
      try {
        await this.take(what);
        // Not waited for: what is told of many goes together.
        if (life === this.life) this.later(() => this.owner.tell(safe(what.number)));
      } catch (error) {
        // It does not stand in the vault: the relay brings it again, on a line that ended by itself.
        if (!(error instanceof RelayUnreachable)) this.isWanting = true;
      }
    });
  }

  /** Open what came; whatever is refused is done with, and everything else is thrown. */
  private async take({ mailbox, payload }: Pick<Delivered, 'mailbox' | 'payload'>): Promise<void> {
    const { vault } = this.parts;
    let from = '';
    try {
      const { peer, content, whole, isRefused, isAgain } = await hear(
        vault,
        this.identity,
        payload,
        this.now(),
        async (who, said, isMet) => {
          from = who;
          const changes = await toldBy(vault, mailbox, who, said);
          changes.push(...(await offered(vault, who, said)));
          if (isMet) changes.push(...(await metBy(vault, who)));
          return [...changes, ...(await carried(vault, who, said))];
        },
        this.groups.told,
        (who) => policyOf(vault, who),
      );
      if (await this.requests.came(peer)) return;
      this.signs.heard(peer, content.sentMs);
      if (isRefused) {
        this.show({ unshown: this.shown.unshown + 1 });
        await this.sealed(peer, { kind: Kind.refused, text: content.id });
        await this.look(peer);
        return;
      }
      if (CARRIES.has(content.kind)) {
        await this.files.came(peer, content);
        return;
      }
      if (content.kind === Kind.typing && !content.group) this.typists.heard(peer);
      if (isPadded(content.kind)) {
        this.theirPads.calm(peer);
        this.typists.ended(peer);
      }
      await this.look(peer);
      await this.renewed(peer);
      if (content.kind === Kind.card) this.sending.go(peer); // what waited for a way to them
      if (whole) await this.groups.came(peer, whole);
      if (content.kind === Kind.fileKey) await this.files.came(peer, content);
      if (content.kind === Kind.padOffer) await this.theirPads.takeOffers(peer);
      if (content.kind === Kind.padLost) await this.theirPads.sealAnew(peer, content);
      if (content.kind === Kind.aborted) await this.theirPads.warned(peer, content);
      await this.answer(peer);
      if (isAgain) await this.answerAgain(peer, content);
      await this.requests.remind(mailbox, peer, this.of(peer)?.contact.boxes ?? []);
      await this.look(peer);
    } catch (error) {
      if (!(error instanceof ChatRefused)) throw error;
      if (error instanceof Replayed) return;
      if (error instanceof GroupRefused && error.contentId) {
        const author = await this.ownerOf(mailbox);
        if (author) await this.sealed(author, { kind: Kind.refused, text: error.contentId });
      }
      if (error instanceof PadMissing) {
        const owner = await this.ownerOf(mailbox);
        const peer = owner ?? (await this.requests.writer(mailbox, payload));
        if (peer && (await this.theirPads.fetched(peer, error.padId))) {
          await this.take({ mailbox, payload });
          return;
        }
        // A stranger is not told that we are there.
        if (peer && this.of(peer) && error.contentId) {
          await this.sealed(peer, { kind: Kind.padLost, text: join(error.contentId, error.padId) });
          return;
        }
      }
      if (await this.requests.refused(mailbox)) return;
      this.show({ unshown: this.shown.unshown + 1 });
      if (from) await this.look(from);
    }
  }

  /** They are told that what they said came. */
  private async answer(peer: string): Promise<void> {
    const all = await messages(this.parts.vault, peer);
    const due = all.filter(({ ours, state }) => !ours && state === 'heard');
    if (due.length === 0) return;
    await this.receipt(peer, Kind.delivered, due);
    await this.mark(peer, due, (value) => ({ ...value, state: 'answered' }));
    this.later(() => this.posting.send());
  }

  /** They said again what they do not know that we have. */
  private async answerAgain(peer: string, { id }: Content): Promise<void> {
    const found = await this.parts.vault.read<MessageRecord>(messagesOf(peer), toHex(id));
    if (!found || found.value.ours) return;
    const kind = found.value.state === 'seen' ? Kind.read : Kind.delivered;
    await this.receipt(peer, kind, [found.value]);
  }

  private async receipt(
    peer: string,
    kind: typeof Kind.delivered | typeof Kind.read,
    about: readonly MessageRecord[],
  ): Promise<void> {
    const text = join(...about.map(({ content }) => content.id));
    await this.sealed(peer, { kind, text });
  }

  private async mark(
    peer: string,
    some: readonly MessageRecord[],
    how: (value: MessageRecord) => MessageRecord,
  ): Promise<void> {
    const { vault } = this.parts;
    await again(async () => {
      const found = await Promise.all(
        some.map(({ content }) => vault.read<MessageRecord>(messagesOf(peer), toHex(content.id))),
      );
      const there = found.filter((each) => each !== null);
      const changes = there.map((each) => change(messagesOf(peer), each, how(each.value)));
      if (changes.length > 0) await vault.commit(changes);
    });
  }

  private async ownerOf(mailbox: Bytes): Promise<string | undefined> {
    const all = await contacts(this.parts.vault);
    return all.find(({ value }) => value.boxes.some((box) => equal(box.mailbox, mailbox)))?.key;
  }

  private async sealed(
    peer: string,
    given: Pick<Content, 'kind'> & Partial<Content>,
  ): Promise<void> {
    const content = makeContent({ id: newId(), sentMs: Date.now(), ...given });
    try {
      await say(this.parts.vault, peer, content, 'off');
    } catch (error) {
      if (!(error instanceof SessionAbsent)) throw error;
      return; // whom we have blocked is told nothing
    }
    this.later(() => this.posting.send());
  }

  // What is shown

  private of(peer: string): Conversation | undefined {
    return this.shown.conversations.find((each) => each.peer === peer);
  }

  /** Show a conversation as it is now. */
  private async look(peer: string): Promise<void> {
    const { vault } = this.parts;
    this.looks += 1;
    const number = this.looks;
    const found = (await contacts(vault)).find(({ key }) => key === peer);
    if (!found) return;
    const said = await messages(vault, peer);
    const all = said.filter(({ content }) => !content.group);
    const pads = (await vault.list<PadRecord>(PAD)).map(({ value }) => value);
    const shown = all.filter(({ content }) => SHOWN.has(content.kind));
    const now: Conversation = {
      peer,
      contact: found.value,
      messages: shown,
      unread: shown.filter(isUnread).length,
      trouble: this.posting.trouble(peer),
      records: await recordsOf(vault, peer),
      warning: this.theirPads.warning(peer),
      standing: this.sending.standing(peer),
      isTyping: this.typists.has(peer),
      isHere: this.signs.has(peer),
      renewal: (await isAsked(vault, peer)) ? 'asked' : (this.renewals.get(peer) ?? null),
      isMet: await hasSession(vault, peer),
      isBlocked: await isBlocked(vault, peer),
      files: await this.files.shown(peer),
      padLeft: pads
        .filter((pad) => pad.ours && pad.peer === peer)
        .reduce((sum, pad) => sum + padLeft(pad), 0),
    };
    if ((this.looked.get(peer) ?? 0) > number) return; // a later look was faster
    this.looked.set(peer, number);
    const others = this.shown.conversations.filter((each) => each.peer !== peer);
    const conversations = [...others, now].toSorted((one, other) => latest(other) - latest(one));
    this.show({ conversations });
    this.groups.heard(peer, said);
  }

  /** Show what becomes of what waits for its pad. */
  private stood(peer: string): void {
    const standing = this.sending.standing(peer);
    const now = (each: Conversation) => (each.peer === peer ? { ...each, standing } : each);
    this.show({ conversations: this.shown.conversations.map(now) });
  }

  private async filesChanged(peer: string): Promise<void> {
    if (peer === this.groups.me) {
      await this.groups.filesChanged();
      await this.notes.look();
      return;
    }
    const files = await this.files.shown(peer);
    const now = (each: Conversation) => (each.peer === peer ? { ...each, files } : each);
    this.show({ conversations: this.shown.conversations.map(now) });
  }

  /** What disappears once it was read does so when its time has come. */
  private async sweep(): Promise<void> {
    const { vault } = this.parts;
    for (const { peer, messages: shown, isTyping, isHere } of this.shown.conversations) {
      const over = shown.filter((each) => isOver(each));
      const hasStopped = isTyping && !this.typists.has(peer);
      const hasLeft = isHere && !this.signs.has(peer);
      for (const { content } of over) await disappear(vault, peer, content.id);
      if (over.length > 0 || hasStopped || hasLeft) await this.look(peer);
    }
    await this.groups.sweep();
    await this.notes.sweep();
  }

  private show(some: Partial<View>): void {
    this.shown = { ...this.shown, ...some };
    for (const listener of this.listeners) listener();
  }

  private ownCard() {
    const { relays, name, keys } = this.parts;
    return { relay: relays[0] ?? '', name, sae: keys?.sae ?? '' };
  }

  private now(): number {
    return this.parts.now?.() ?? Date.now() / 1000;
  }

  /**
   * Work that nobody waits for: a line that ends while it is done is tried again by itself, and for
   * whom we blocked meanwhile, or have never met, there is none.
   */
  private later(work: () => Promise<void>): void {
    work().catch((error: unknown) => {
      const kinds = [RelayUnreachable, RelayRefused, SessionAbsent];
      if (!kinds.some((kind) => error instanceof kind) && !this.isClosed) throw error;
    });
  }
}

function latest({ contact, messages: shown }: Conversation): number {
  return Math.max(contact.since, shown.at(-1)?.content.sentMs ?? 0);
}
