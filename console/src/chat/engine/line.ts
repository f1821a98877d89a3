/** One line to a relay: what is asked on it, each answered once, and what comes unasked. */

import { type Bytes, zeros } from '../protocol/bytes';
import { RelayMisbehaved, RelayRefused, RelayUnreachable } from '../protocol/errors';
import { type Answer, type Challenge, readAnswer } from '../protocol/frames';
import type { Way } from './way';

export const ANSWER_WITHIN_MS = 20_000;

export type Delivered = Extract<Answer, { is: 'deliver' }>;

/** What a line says by itself. */
export interface LineHears {
  /** The relay is there, and begins. */
  began(challenge: Challenge): void;
  delivered(what: Delivered): void;
  ended(): void;
}

interface Asked {
  readonly done: (body: Bytes) => void;
  readonly failed: (error: Error) => void;
}

export class RelayLine {
  private readonly asked = new Map<number, Asked>();
  private requests = 0;
  /** Whether the relay has begun, and the line has not ended since. */
  isUp = false;

  constructor(
    private readonly way: Way,
    private readonly number: number,
    private readonly hears: LineHears,
  ) {}

  /**
   * Ask, and wait for the answer.
   *
   * @returns What the relay's accounts say; nothing from anybody else.
   * @throws RelayRefused, RelayUnreachable.
   */
  async ask(make: (request: number) => Bytes | Promise<Bytes>): Promise<Bytes> {
    if (!this.isUp) throw new RelayUnreachable('the relay does not answer');
    this.requests = (this.requests % 0xffff_ffff) + 1;
    const request = this.requests;
    const frame = await make(request);
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise<Bytes>((done, failed) => {
        this.asked.set(request, { done, failed });
        timer = setTimeout(
          () => failed(new RelayUnreachable('the relay did not answer in time')),
          ANSWER_WITHIN_MS,
        );
        this.way.send(this.number, frame).catch(failed);
      });
    } finally {
      clearTimeout(timer);
      this.asked.delete(request);
    }
  }

  /** Say what is not answered. */
  async tell(frame: Bytes): Promise<void> {
    if (this.isUp) await this.way.send(this.number, frame);
  }

  /** A frame came on this line. */
  take(frame: Bytes): void {
    let answer: Answer;
    try {
      answer = readAnswer(frame);
    } catch (error) {
      if (!(error instanceof RelayMisbehaved)) throw error;
      this.end(); // nothing that it says counts any more
      return;
    }
    switch (answer.is) {
      case 'challenge':
        this.isUp = true;
        this.hears.began(answer);
        break;
      case 'done':
        this.asked.get(answer.request)?.done(zeros(0));
        break;
      case 'accounts':
        this.asked.get(answer.request)?.done(answer.body);
        break;
      case 'refused':
        if (answer.request === 0) this.end();
        else this.asked.get(answer.request)?.failed(new RelayRefused(answer.reason));
        break;
      case 'deliver':
        if (this.isUp) this.hears.delivered(answer);
        break;
      case 'notice': // this page goes where its console goes
        break;
    }
  }

  end(): void {
    const wasUp = this.isUp;
    this.isUp = false;
    for (const { failed } of this.asked.values())
      failed(new RelayUnreachable('the line to the relay has ended'));
    if (wasUp) this.hears.ended();
  }
}
