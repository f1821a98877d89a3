/** Known answers of `vectors/`, for tests. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Bytes } from '../bytes';

export function hex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** The JSON of a file there, which may be packed. */
export function known<T>(name: string): T {
  const bytes = readFileSync(join(import.meta.dirname, '../../../../../vectors', name));
  return JSON.parse((name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString());
}
