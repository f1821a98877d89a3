/**
 * The way from this page to relays, through the console: one stream for what comes, requests for what
 * goes. The console hands frames on as they are, and follows relays that move.
 *
 * Source: docs/reference/console.md; HTML, 9.2 (server-sent events).
 */

import { body, client, type Schemas } from '../../api/client';
import { fromBase64Url, toBase64 } from '../protocol/base64';
import type { Bytes } from '../protocol/bytes';
import { RelayUnreachable } from '../protocol/errors';
import type { SessionNow } from '../state/talk';

/** What comes by a way. */
export interface Hears {
  /** It is there; lines that were there before are not. */
  opened(): void;
  frame(line: number, frame: Bytes): void;
  ended(line: number): void;
  /** What is known of a session under way, by the mark with which it was asked for. */
  session(mark: string, now: SessionNow): void;
  /** The console does not answer; it is tried again. */
  lost(): void;
}

export interface Way {
  /** @throws RelayUnreachable if the console or the relay does not take them. */
  send(line: number, frame: Bytes): Promise<void>;
  /** Have a line of our own begin, or end; `ended` tells that its number is free again. */
  own(line: number, open: boolean): Promise<void>;
  close(): void;
}

export type OpenWay = (hears: Hears) => Way;

/** Frames of one request, so that with base64 it stays below what the console reads. */
const MOST_FRAMES = 64;
const MOST_BYTES = 20_000;
/** Requests at once, and then each second: half of what the console takes of one account. */
const AT_ONCE = 50;
const A_SECOND = 25;
const SILENCE_MS = 15_000;
const AGAIN_MS = 3000;

interface Going {
  readonly line: number;
  readonly frame: Bytes;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export class ConsoleWay implements Way {
  private source: EventSource | null = null;
  private name: string | null = null;
  private watch: ReturnType<typeof setTimeout> | undefined;
  private going: Going[] = [];
  private isGoing = false;
  private allowed = AT_ONCE;
  private countedMs = performance.now();
  private isClosed = false;

  constructor(private readonly hears: Hears) {
    this.connect();
  }

  send(line: number, frame: Bytes): Promise<void> {
    return new Promise((done, failed) => {
      this.going.push({ line, frame, done, failed });
      void this.go();
    });
  }

  async own(line: number, open: boolean): Promise<void> {
    try {
      if (this.name === null) throw new RelayUnreachable('the console does not answer');
      await body(client.POST('/api/chat/line', { body: { way: this.name, line, open } }));
    } catch (error) {
      throw unreachable(error);
    }
  }

  close(): void {
    this.isClosed = true;
    this.end();
  }

  private connect(): void {
    if (this.isClosed) return;
    const source = new EventSource('/api/chat/way');
    this.source = source;
    this.listen();
    source.onerror = () => this.lost();
    const on = <K extends keyof Schemas['ChatEvents']>(
      name: K,
      take: (content: Schemas['ChatEvents'][K]) => void,
    ) =>
      source.addEventListener(name, (event) => {
        this.listen();
        take(JSON.parse((event as MessageEvent<string>).data));
      });
    on('heartbeat', () => {});
    on('opened', ({ way }) => {
      this.name = way;
      this.hears.opened();
    });
    on('frame', ({ line, frame }) => this.hears.frame(line, fromBase64Url(frame)));
    on('ended', ({ line }) => this.hears.ended(line));
    on('session', ({ mark, now }) => this.hears.session(mark, now));
    on('signed_out', () => this.close());
  }

  /** Silence means that the console is away, whatever the browser believes. */
  private listen(): void {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => this.lost(), SILENCE_MS);
  }

  private lost(): void {
    this.end();
    this.hears.lost();
    if (!this.isClosed) this.watch = setTimeout(() => this.connect(), AGAIN_MS);
  }

  private end(): void {
    this.source?.close();
    this.source = null;
    this.name = null;
    clearTimeout(this.watch);
  }

  /** One request at a time, so that frames stay in their order. */
  private async go(): Promise<void> {
    if (this.isGoing) return;
    this.isGoing = true;
    try {
      while (this.going.length > 0) {
        await this.pace();
        await this.post(this.next());
      }
    } finally {
      this.isGoing = false;
    }
  }

  /** A file of many chunks leaves room for what else the page asks for. */
  private async pace(): Promise<void> {
    const now = performance.now();
    const more = ((now - this.countedMs) * A_SECOND) / 1000;
    this.allowed = Math.min(AT_ONCE, this.allowed + more) - 1;
    this.countedMs = now;
    if (this.allowed < 0)
      await new Promise((done) => setTimeout(done, (-this.allowed * 1000) / A_SECOND));
  }

  /** What goes together: frames of one line, as they were given. */
  private next(): Going[] {
    const [first] = this.going;
    let bytes = 0;
    const end = this.going.findIndex(({ line, frame }, at) => {
      bytes += frame.length;
      return at > 0 && (at >= MOST_FRAMES || bytes > MOST_BYTES || line !== first?.line);
    });
    return this.going.splice(0, end < 0 ? this.going.length : end);
  }

  private async post(some: readonly Going[]): Promise<void> {
    const line = some[0]?.line ?? 0;
    const frames = some.map(({ frame }) => toBase64(frame));
    try {
      if (this.name === null) throw new RelayUnreachable('the console does not answer');
      const sent = { way: this.name, line, frames };
      await body(client.POST('/api/chat/frames', { body: sent }));
      for (const { done } of some) done();
    } catch (error) {
      for (const { failed } of some) failed(unreachable(error));
    }
  }
}

const unreachable = (error: unknown) =>
  new RelayUnreachable(error instanceof Error ? error.message : '');
