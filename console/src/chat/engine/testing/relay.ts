/** A relay in memory, as spec/relay.md has it, behind a console that carries frames; for tests. */

import { fromHex, toHex } from '../../../shared/merkle';
import { ascii, type Bytes, big, join, Reader, zeros } from '../../protocol/bytes';
import { RelayUnreachable } from '../../protocol/errors';
import { SIGNATURE_BYTES } from '../../protocol/identity';
import { PAYLOAD_SIZES } from '../../protocol/session';
import { sha256 } from '../../protocol/suite';
import type { SessionNow } from '../../state/talk';
import type { Hears, OpenWay, Way } from '../way';
import type { ModelAccounts } from './accounts';

interface Box {
  readonly hash: string;
  readonly account: string;
  readonly kept: Map<string, Bytes>;
}

const LARGEST = Math.max(...PAYLOAD_SIZES);

const answer = (kind: number, ...rest: Bytes[]) => join(Uint8Array.of(kind), ...rest);

export class ModelRelay {
  readonly boxes = new Map<string, Box>();
  readonly pages = new Set<Page>();
  id: Bytes = zeros(32).fill(7);
  accounts: ModelAccounts | null = null;
  isUp = true;
  /** Whether it forgets nothing that it is told is safe. */
  isForgetful = true;
  /** How many payloads of the largest size are delivered as they come; the others on a new line. */
  largestAtOnce = Number.POSITIVE_INFINITY;

  readonly openWay: OpenWay = (hears) => {
    const page = new Page(this, hears);
    this.pages.add(page);
    queueMicrotask(() => page.begin());
    return page;
  };

  /** Tell every page of a session. */
  tell(mark: string, now: SessionNow): void {
    for (const page of this.pages) page.tell(mark, now);
  }

  /** All lines end, or begin anew. */
  turn(isUp: boolean): void {
    this.isUp = isUp;
    for (const page of this.pages) page.begin();
  }

  async drop(right: Bytes, token: string, payload: Bytes): Promise<boolean> {
    const hash = toHex(await sha256(right));
    const found = [...this.boxes].find(([, box]) => box.hash === hash);
    if (!found) return false;
    const [mailbox, box] = found;
    if (!box.kept.has(token)) {
      box.kept.set(token, payload);
      if (payload.length === LARGEST && this.largestAtOnce-- <= 0) return true;
      for (const page of this.pages) page.deliver(mailbox, box.account, token, payload);
    }
    return true;
  }
}

class Page implements Way {
  private account = '';
  private readonly sealed = new Map<number, (body: Bytes) => Promise<Bytes>>();
  private isListening = false;
  private under = new Map<number, [Box, string]>();
  private number = 0;

  constructor(
    private readonly relay: ModelRelay,
    private readonly hears: Hears,
  ) {}

  begin(): void {
    this.isListening = false;
    this.hears.opened();
    const frame = answer(0x81, Uint8Array.of(1), zeros(32), this.relay.id);
    for (const line of [0, 1]) {
      if (this.relay.isUp) this.hears.frame(line, frame);
      else this.hears.ended(line);
    }
  }

  tell(mark: string, now: SessionNow): void {
    this.hears.session(mark, now);
  }

  close(): void {
    this.relay.pages.delete(this);
  }

  async own(line: number, open: boolean): Promise<void> {
    const { accounts } = this.relay;
    if (!accounts || !this.relay.isUp) throw new RelayUnreachable('it keeps no accounts');
    if (open) {
      this.sealed.set(line, accounts.line(zeros(32)));
      this.hears.frame(line, answer(0x81, Uint8Array.of(1), zeros(32), this.relay.id));
    } else if (this.sealed.delete(line)) this.hears.ended(line);
  }

  async send(line: number, frame: Bytes): Promise<void> {
    if (!this.relay.isUp) throw new RelayUnreachable('it is away');
    const reader = new Reader(frame);
    const kind = reader.number(1);
    if (kind === 6) {
      this.forget(reader.number(8));
      return;
    }
    const request = reader.take(4);
    const sealed = this.sealed.get(line);
    if (kind === 7 && sealed) {
      this.hears.frame(line, answer(0x85, request, await sealed(reader.rest())));
      return;
    }
    const done = await this.done(kind, reader);
    this.hears.frame(line, done ? answer(0x82, request) : answer(0x83, request, Uint8Array.of(2)));
    if (kind === 5) this.listen();
  }

  private async done(kind: number, reader: Reader): Promise<boolean> {
    switch (kind) {
      case 1:
        this.account = toHex(reader.take(reader.left - SIGNATURE_BYTES));
        return true;
      case 2: {
        const [mailbox, hash] = [toHex(reader.take(16)), toHex(reader.take(32))];
        const { account } = this;
        if (!this.relay.boxes.has(mailbox))
          this.relay.boxes.set(mailbox, { hash, account, kept: new Map() });
        return true;
      }
      case 3:
        return this.relay.boxes.delete(toHex(reader.take(16)));
      case 4: {
        const [right, token] = [reader.take(32), toHex(reader.take(16))];
        reader.number(4);
        return this.relay.drop(right, token, reader.rest());
      }
      default:
        return kind === 5;
    }
  }

  private listen(): void {
    this.isListening = true;
    this.number = 0;
    for (const [mailbox, { account, kept }] of this.relay.boxes)
      for (const [token, payload] of kept) this.deliver(mailbox, account, token, payload);
  }

  deliver(mailbox: string, account: string, token: string, payload: Bytes): void {
    const box = this.relay.boxes.get(mailbox);
    if (!this.isListening || account !== this.account || !box) return;
    this.number += 1;
    this.under.set(this.number, [box, token]);
    const name = fromHex(mailbox);
    this.hears.frame(0, answer(0x84, name, big(this.number, 8), payload));
  }

  private forget(number: number): void {
    const [box, token] = this.under.get(number) ?? [];
    if (token && this.relay.isForgetful) box?.kept.delete(token);
  }
}

/** Words that a relay must never see. */
export function holds(relay: ModelRelay, words: string): boolean {
  const wanted = toHex(ascii(words));
  return [...relay.boxes.values()].some(({ kept }) =>
    [...kept.values()].some((payload) => toHex(payload).includes(wanted)),
  );
}
