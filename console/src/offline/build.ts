/** Tells `worker.ts` what the build made: the files to keep, and a name for all of them. */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

export const WORKER = 'worker.js';
const OF_THE_BUILD = new Set([WORKER, 'assets.json', 'licenses.txt']);

export function offline(): Plugin {
  let folder = '';
  return {
    name: 'bellwire-offline',
    apply: 'build',
    enforce: 'post',
    configResolved(config) {
      folder = config.publicDir;
    },
    generateBundle(_, bundle) {
      const worker = bundle[WORKER];
      if (worker?.type !== 'chunk') throw new Error(`expected ${WORKER} among what is built`);
      if (worker.imports.length) throw new Error(`${WORKER}: expected a script without imports`);
      const digest = createHash('sha256').update(worker.code);
      const files = ['/'];
      for (const name of Object.keys(bundle).sort()) {
        const made = bundle[name];
        if (!made || OF_THE_BUILD.has(name)) continue;
        digest.update(name).update(made.type === 'chunk' ? made.code : made.source);
        if (name !== 'index.html') files.push(`/${name}`);
      }
      for (const name of readdirSync(folder).sort()) {
        digest.update(name).update(readFileSync(join(folder, name)));
        files.push(`/${name}`);
      }
      const version = digest.digest('hex').slice(0, 16);
      worker.code = `const FILES=${JSON.stringify(files)},VERSION="${version}";\n${worker.code}`;
    },
  };
}
