/** A device of the journeys: DEVICE is its command, which `tests/pages` hands over. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';

const [program = '', ...parameters] = (process.env.DEVICE ?? '').split('\n');

/** Have it do something, with what it is told on its input; throws with what it said if it fails. */
export function device(words: readonly string[], input = ''): Promise<void> {
  return new Promise((resolve, reject) => {
    const running = spawn(program, [...parameters, ...words], {
      cwd: join(import.meta.dirname, '../..'),
    });
    let said = '';
    for (const stream of [running.stdout, running.stderr])
      stream.on('data', (data: Buffer) => {
        said += data.toString();
      });
    running.on('error', reject);
    running.on('close', (code) => (code === 0 ? resolve() : reject(new Error(said))));
    running.stdin.end(`${input}\n`);
  });
}
