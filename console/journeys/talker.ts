/** Somebody of the Python side, in a process of their own; `tests/pages` says which. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export type Answer = Record<string, string>;

/** The other side: a line of JSON in, a line out. */
export class Talker {
  private readonly process: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;

  /** @param command Program and parameters, each on a line of its own. */
  constructor(command: string) {
    const [program = '', ...parameters] = command.split('\n');
    this.process = spawn(program, parameters, { cwd: join(import.meta.dirname, '../..') });
    // One that is in the middle of waiting does not see that its input has ended.
    process.once('exit', () => this.process.kill());
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async ask(question: Answer): Promise<Answer> {
    this.process.stdin.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error('the other side has ended');
    return JSON.parse(value);
  }

  end(): Promise<number | null> {
    this.process.stdin.end();
    return new Promise((resolve) => {
      this.process.on('close', resolve);
    });
  }
}
