/**
 * Conversations of one person in one browser: what comes from the relay and goes to it, receipts, and
 * what a page shows of it.
 *
 * Whatever is to leave stands in the vault first, and goes as soon as there is a line; what came is
 * safe at the relay until it stands in the vault. So windows may be closed, and lines end, at any time.
 */

import { fromHex, toHex } from '../../shared/merkle';
import { ascii, type Bytes, equal, join } from '../protocol/bytes';
import { readLink } from '../protocol/card';
import { type Content, isPadded, Kind, MAX_TEXT_BYTES, makeContent } from '../protocol/content';
import {
  ChatRefused,
  GroupRefused,
  PadMissing,
  RelayRefused,
  RelayUnreachable,
  Replayed,
} from '../protocol/errors';
import { smallFile } from '../protocol/file';
import { type Challenge, close, drop, listen, login, open, safe } from '../protocol/frames';
import type { Identity } from '../protocol/identity';
import { safetyCode, safetyNumber } from '../protocol/safety';
import {
  add,
  boxes,
  type Contact,
  changeContact,
  contacts,
  expired,
  invite,
  told,
} from '../state/contacts';
import { carried } from '../state/files';
import { dropPad, forget, offered, offersOf, recordsOf, takePad } from '../state/offers';
import { PAD, type PadRecord, padLeft } from '../state/pads';
import { ownIdentity } from '../state/person';
import {
  added,
  again,
  change,
  hear,
  type MessageRecord,
  messages,
  messagesOf,
  type SessionRecord,
  say,
  taken,
  unseal,
  type Waiting,
  waiting,
} from '../state/talk';
import type { Vault } from '../state/vault';
import { type FileShown, Files } from './files';
import { Groups, type GroupTalk } from './groups';
import { type KeySource, KeysAbsent, KeysGone } from './keys';
import { type Delivered, RelayLine } from './line';
import { Sending, type Standing } from './sending';
import type { OpenWay, Way } from './way';

const AGAIN_MS = 5000;
const SWEEP_MS = 1000;
/** How often we say that we type, and for how long that counts. */
const TYPING_EVERY_MS = 3000;
const TYPING_FOR_MS = 6000;
const RELAY = 'relay';

export type Connection = 'connecting' | 'up' | 'down';

/** Why something that waits does not go. */
export type Trouble = 'no relay' | 'other relay' | 'no card' | 'refused' | 'full';

/** A session of theirs gave no pad, so that they could not send. */
export interface Warning {
  readonly atMs: number;
  /** What our own node measured; null if it does not say. */
  readonly record: SessionRecord | null;
}

/** One conversation as a page shows it. */
export interface Conversation {
  /** Fingerprint, in hexadecimal. */
  readonly peer: string;
  readonly contact: Contact;
  /** Oldest first; edits and deletions are done. */
  readonly messages: readonly MessageRecord[];
  readonly unread: number;
  readonly trouble: Trouble | null;
  /** Bytes of pad that are left for us to send under. */
  readonly padLeft: number;
  /** What sessions measured, by the id of their pad. */
  readonly records: ReadonlyMap<string, SessionRecord>;
  readonly warning: Warning | null;
  /** What becomes of what waits for its pad. */
  readonly standing: Standing;
  readonly isTyping: boolean;
  /** Those that come in chunks, by `placeOf` their messages. */
  readonly files: ReadonlyMap<string, FileShown>;
}

/** Everything that a page shows; another value whenever something has changed. */
export interface View {
  readonly connection: Connection;
  /** The latest first. */
  readonly conversations: readonly Conversation[];
  /** The latest first. */
  readonly groups: readonly GroupTalk[];
  /** What came and could not be shown. */
  readonly unshown: number;
  /** Whether the relay is another one than it was at first: nothing is told to it. */
  readonly isOtherRelay: boolean;
}

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

const uuid = (id: Bytes) =>
  toHex(id).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
const SHOWN: ReadonlySet<Kind> = new Set([Kind.text, Kind.reply, Kind.file, Kind.fileKey]);
/** What files that come in chunks are carried by: much of it, and nothing that is said. */
const CARRIES: ReadonlySet<Kind> = new Set([Kind.chunk, Kind.ask, Kind.stop]);
const newId = (): Bytes => crypto.getRandomValues(new Uint8Array(16));
const canonical = (url: string) => (URL.canParse(url) ? new URL(url).href : url);
const REFUSALS: Readonly<Record<number, Trouble>> = { 2: 'refused', 3: 'full' };

export class Chat {
  private readonly lines: RelayLine[];
  private readonly way: Way;
  private readonly listeners = new Set<() => void>();
  private readonly timers: ReturnType<typeof setInterval>[];
  private readonly troubles = new Map<string, Trouble>();
  /** One thing at a time that came, in its order. */
  private inbox: Promise<void> = Promise.resolve();
  /** Which life of the owner's line it is: numbers of another one mean nothing. */
  private life = 0;
  private challenge: Challenge | null = null;
  /** Whether something at the relay waits for its pad. */
  private isWanting = false;
  private readonly warnings = new Map<string, Warning>();
  /** When we said last that we type, and until when they do. */
  private readonly typed = new Map<string, number>();
  private readonly typingUntil = new Map<string, number>();
  private looks = 0;
  /** The last look at each conversation that is shown. */
  private readonly looked = new Map<string, number>();
  private readonly sending: Sending;
  readonly files: Files;
  readonly groups: Groups;
  private isSending = false;
  /** Whether something may wait that was not there when sending began. */
  private isMore = false;
  private isClosed = false;
  private saidMs = 0;
  private shown: View = {
    connection: 'connecting',
    conversations: [],
    groups: [],
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
    this.sending = new Sending({
      vault: parts.vault,
      keys: parts.keys,
      contact: (peer) => this.of(peer)?.contact,
      stood: (peer) => this.stood(peer),
      changed: (peer) => this.look(peer),
      sealed: () => this.later(() => this.send()),
      tell: (peer, kind, text) => this.sealed(peer, { kind, text }),
      later: (work) => this.later(work),
    });
    this.files = new Files({
      vault: parts.vault,
      keep: (peer, id, text) => this.keep(peer, Kind.fileKey, text, { id }),
      sealed: () => this.later(() => this.send()),
      changed: (peer) => this.filesChanged(peer),
      later: (work) => this.later(work),
    });
    this.groups = new Groups({
      vault: parts.vault,
      identity,
      name: parts.name,
      conversation: (peer) => this.of(peer),
      card: () => this.ownCard(),
      openBox: (box) =>
        this.later(() => this.owner.ask((request) => open(request, box.mailbox, box.right))),
      go: (peer) => this.sending.go(peer),
      look: (peer) => this.look(peer),
      tell: (peer, given) => this.sealed(peer, given),
      answer: (peer) => this.answer(peer),
      saw: (peer, some) => this.saw(peer, some),
      show: (groups) => this.show({ groups }),
      wake: () => this.later(() => this.send()),
      now: () => this.now(),
    });
    const endAll = (connection: Connection) => {
      for (const line of this.lines) line.end();
      this.show({ connection });
    };
    way.now = parts.openWay({
      opened: () => endAll('connecting'),
      frame: (line, frame) => this.lines[line]?.take(frame),
      ended: (line) => {
        this.lines[line]?.end();
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
    await this.owner.ask((request) => open(request, box.mailbox, box.right));
    return link;
  }

  /**
   * Know whoever made a contact link.
   *
   * @returns Their fingerprint, in hexadecimal.
   * @throws LinkRefused, ChatMisuse, or RelayRefused and RelayUnreachable of our own relay.
   */
  async add(link: string): Promise<string> {
    const read = await readLink(link, this.now());
    if (!this.owner.isUp) throw new RelayUnreachable('your relay does not answer now');
    const { peer, box } = await add(this.parts.vault, this.identity, read, this.ownCard());
    await this.look(peer);
    await this.owner.ask((request) => open(request, box.mailbox, box.right));
    this.later(() => this.send());
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
    const timerS = this.of(peer)?.contact.timerS ?? 0;
    // Later ones are later, however fast somebody types.
    this.saidMs = Math.max(Date.now(), this.saidMs + 1);
    const timer = timerS && kind !== Kind.delete ? { timerS } : {};
    const content = { kind, id: newId(), sentMs: this.saidMs, text, ...timer, ...rest };
    await this.sending.keep(peer, makeContent(content));
  }

  /** Say that we type; only while the relay answers. */
  async typing(peer: string): Promise<void> {
    const isSoon = Date.now() - (this.typed.get(peer) ?? 0) < TYPING_EVERY_MS;
    if (this.shown.connection !== 'up' || isSoon) return;
    this.typed.set(peer, Date.now());
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
    await this.receipt(peer, Kind.read, unseen);
    await this.mark(peer, unseen, (value) => ({ ...value, state: 'seen', readMs: Date.now() }));
    await this.look(peer);
    this.later(() => this.send());
  }

  // What comes

  private get owner(): RelayLine {
    return this.lines[0] as RelayLine;
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
    await this.send();
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
    const all = await boxes(this.parts.vault, this.now());
    // One that the relay refuses keeps no other from being heard.
    await Promise.allSettled(
      all.map((box) => this.owner.ask((request) => open(request, box.mailbox, box.right))),
    );
    await this.owner.ask(listen);
    if (life !== this.life) return;
    this.show({ connection: 'up' });
    for (const { peer } of this.shown.conversations) await this.answer(peer);
  }

  /** What did not go is tried again; so is what the relay refused for the moment. */
  private async retry(): Promise<void> {
    const isDue = this.shown.connection === 'down' || this.isWanting;
    if (this.owner.isUp && isDue && this.challenge) {
      this.isWanting = false;
      await this.listen(this.challenge);
    }
    await this.send();
    await this.files.mind();
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
        if (error instanceof KeysAbsent) this.isWanting = true;
        // It does not stand in the vault, or the line has ended: the relay brings it again.
      }
    });
  }

  /** Open what came; whatever is refused is done with, and everything else is thrown. */
  private async take({ mailbox, payload }: Pick<Delivered, 'mailbox' | 'payload'>): Promise<void> {
    const { vault } = this.parts;
    let from = '';
    try {
      const { peer, content, whole } = await hear(
        vault,
        this.identity,
        payload,
        this.now(),
        async (who, said) => {
          from = who;
          const changes = await told(vault, mailbox, who, said);
          changes.push(...(await offered(vault, who, said)));
          return [...changes, ...(await carried(vault, who, said))];
        },
        this.groups.told,
      );
      if (CARRIES.has(content.kind)) {
        await this.files.came(peer, content);
        return;
      }
      if (content.kind === Kind.typing && !content.group)
        this.typingUntil.set(peer, Date.now() + TYPING_FOR_MS);
      if (isPadded(content.kind)) {
        this.warnings.delete(peer); // it has come after all
        this.typingUntil.delete(peer);
      }
      await this.look(peer);
      if (content.kind === Kind.card) this.sending.go(peer); // what waited for a way to them
      if (whole) await this.groups.came(peer, whole);
      if (content.kind === Kind.fileKey) await this.files.came(peer, content);
      if (content.kind === Kind.padOffer) await this.takeOffers(peer);
      if (content.kind === Kind.padLost) await this.sealAnew(peer, content);
      if (content.kind === Kind.aborted) await this.warned(peer, content);
      await this.answer(peer);
      await this.look(peer);
    } catch (error) {
      if (!(error instanceof ChatRefused)) throw error;
      if (error instanceof Replayed) return;
      if (error instanceof GroupRefused && error.contentId) {
        const author = await this.ownerOf(mailbox);
        if (author) await this.sealed(author, { kind: Kind.refused, text: error.contentId });
      }
      if (error instanceof PadMissing) {
        const peer = await this.ownerOf(mailbox);
        if (peer && (await this.fetched(peer, error.padId))) {
          await this.take({ mailbox, payload });
          return;
        }
        if (peer && error.contentId) {
          await this.sealed(peer, { kind: Kind.padLost, text: join(error.contentId, error.padId) });
          return;
        }
      }
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
    this.later(() => this.send());
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

  // Pads of theirs

  /**
   * Have the pad of a message that came before it.
   *
   * @returns Whether it is here now; if not, it can never be had.
   * @throws KeysAbsent if it cannot be had now: what came stays at the relay.
   */
  private async fetched(peer: string, padId: Bytes): Promise<boolean> {
    const { vault, keys } = this.parts;
    const sae = this.of(peer)?.contact.card?.sae;
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
  private async takeOffers(peer: string): Promise<void> {
    const { vault, keys } = this.parts;
    const sae = this.of(peer)?.contact.card?.sae;
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
  private async sealAnew(peer: string, { text }: Content): Promise<void> {
    const { vault } = this.parts;
    await dropPad(vault, text.slice(16));
    if (await unseal(vault, peer, toHex(text.slice(0, 16)))) this.sending.go(peer);
  }

  /** A session of theirs gave no pad: what our own node measured says why. */
  private async warned(peer: string, { text }: Content): Promise<void> {
    const { keys } = this.parts;
    const sae = this.of(peer)?.contact.card?.sae;
    let record: SessionRecord | null = null;
    try {
      if (keys && sae) record = (await keys.session(sae, uuid(text.slice(0, 16)))).record;
    } catch (error) {
      if (!(error instanceof KeysGone || error instanceof KeysAbsent)) throw error;
    }
    this.warnings.set(peer, { atMs: Date.now(), record });
  }

  private async sealed(
    peer: string,
    given: Pick<Content, 'kind'> & Partial<Content>,
  ): Promise<void> {
    const content = makeContent({ id: newId(), sentMs: Date.now(), ...given });
    await say(this.parts.vault, peer, content, 'off');
    this.later(() => this.send());
  }

  // What goes

  /** Everything that waits goes, each person's in their order. */
  private async send(): Promise<void> {
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
    for (const { key, value } of await waiting(this.parts.vault)) {
      const { peer } = value;
      if (stuck.has(peer)) continue;
      const trouble = await this.drop(key, value);
      if (trouble) stuck.set(peer, trouble);
      else if (value.message) await this.look(peer);
    }
    const before = [...this.troubles.keys()];
    this.troubles.clear();
    for (const [peer, trouble] of stuck) this.troubles.set(peer, trouble);
    for (const peer of new Set([...before, ...stuck.keys()])) await this.look(peer);
  }

  /** Leave one payload at its relay; why it stays here. */
  private async drop(token: string, { peer, payload, ttlS }: Waiting): Promise<Trouble | null> {
    const card = this.of(peer)?.contact.card;
    if (!card) return 'no card';
    const at = this.parts.relays.findIndex((url) => canonical(url) === canonical(card.relay));
    const line = this.lines[at + 1];
    if (at < 0 || !line) return 'other relay';
    const name = fromHex(token);
    try {
      await line.ask((request) => drop(request, card.right, name, ttlS, payload));
    } catch (error) {
      if (error instanceof RelayRefused) return REFUSALS[error.reason] ?? 'no relay';
      if (error instanceof RelayUnreachable) return 'no relay';
      throw error;
    }
    await taken(this.parts.vault, token);
    return null;
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
      trouble: this.troubles.get(peer) ?? null,
      records: await recordsOf(vault, peer),
      warning: this.warnings.get(peer) ?? null,
      standing: this.sending.standing(peer),
      isTyping: this.isTyping(peer),
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
    const files = await this.files.shown(peer);
    const now = (each: Conversation) => (each.peer === peer ? { ...each, files } : each);
    this.show({ conversations: this.shown.conversations.map(now) });
  }

  private isTyping(peer: string): boolean {
    return (this.typingUntil.get(peer) ?? 0) > Date.now();
  }

  /** What disappears once it was read does so when its time has come. */
  private async sweep(): Promise<void> {
    const { vault } = this.parts;
    for (const { peer, messages: shown, isTyping } of this.shown.conversations) {
      const over = shown.filter(isOver);
      const hasStopped = isTyping && !this.isTyping(peer);
      for (const { content } of over)
        await again(async () => {
          const found = await vault.read<MessageRecord>(messagesOf(peer), toHex(content.id));
          if (found) await vault.commit([change(messagesOf(peer), found, null)]);
        });
      if (over.length > 0 || hasStopped) await this.look(peer);
    }
    await this.groups.sweep();
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

  /** Work that nobody waits for: a line that ends while it is done is tried again by itself. */
  private later(work: () => Promise<void>): void {
    work().catch((error: unknown) => {
      const isLine = error instanceof RelayUnreachable || error instanceof RelayRefused;
      if (!isLine && !this.isClosed) throw error;
    });
  }
}

const isUnread = ({ ours, state }: MessageRecord) => !ours && state !== 'seen';

function isOver({ content, readMs }: MessageRecord): boolean {
  return Boolean(content.timerS && readMs && readMs + 1000 * content.timerS <= Date.now());
}

function latest({ contact, messages: shown }: Conversation): number {
  return Math.max(contact.since, shown.at(-1)?.content.sentMs ?? 0);
}
