/**
 * Lines of this page's own to the accounts of our relay, each for one errand: what is asked for on one
 * has nothing to do with what goes by another, and whoever looks for somebody does not say who they are.
 */

import { AccountLine } from '../protocol/accounts';
import { RelayMisbehaved, RelayUnreachable } from '../protocol/errors';
import { type Challenge, toAccounts } from '../protocol/frames';
import { ANSWER_WITHIN_MS, RelayLine } from './line';
import type { Way } from './way';

/** Numbers of such lines (docs/reference/console.md). */
const NUMBERS = [5, 6, 7, 8] as const;

interface Own {
  readonly line: RelayLine;
  readonly failed: (error: Error) => void;
}

export class OwnLines {
  private readonly lines = new Map<number, Own>();

  constructor(
    private readonly way: Way,
    /** Whether it is the relay that was there at first. */
    private readonly isKnown: (challenge: Challenge) => Promise<boolean>,
  ) {}

  /**
   * Ask the accounts of our relay for something.
   *
   * @throws RelayUnreachable, RelayMisbehaved, RelayRefused; and what the work throws.
   */
  async ask<T>(work: (line: AccountLine) => Promise<T>): Promise<T> {
    const number = NUMBERS.find((each) => !this.lines.has(each));
    if (!number) throw new RelayUnreachable('too much is asked for at once');
    try {
      const [line, challenge] = await this.begun(number);
      if (!(await this.isKnown(challenge)))
        throw new RelayMisbehaved('expected the relay that was there at first, got another');
      const hand = (body: Uint8Array<ArrayBuffer>) =>
        line.ask((request) => toAccounts(request, body));
      return await work(await AccountLine.begin(hand, challenge));
    } finally {
      // Its number is free once the console says that it has ended.
      this.way.own(number, false).catch(() => this.ended(number));
    }
  }

  private async begun(number: number): Promise<[RelayLine, Challenge]> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise((done, failed) => {
        const line: RelayLine = new RelayLine(this.way, number, {
          began: (challenge) => done([line, challenge]),
          delivered: () => {},
          ended: () => {},
        });
        this.lines.set(number, { line, failed });
        const late = () => failed(new RelayUnreachable('the relay did not answer in time'));
        timer = setTimeout(late, ANSWER_WITHIN_MS);
        this.way.own(number, true).catch(failed);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  take(number: number, frame: Uint8Array<ArrayBuffer>): void {
    this.lines.get(number)?.line.take(frame);
  }

  ended(number: number): void {
    const own = this.lines.get(number);
    this.lines.delete(number);
    own?.line.end();
    own?.failed(new RelayUnreachable('the relay does not answer'));
  }

  endAll(): void {
    for (const number of [...this.lines.keys()]) this.ended(number);
  }
}
