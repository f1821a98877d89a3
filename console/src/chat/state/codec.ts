/** Values with bytes in them, as text that a record holds. */

import { fromBase64Url, toBase64Url } from '../protocol/base64';
import { ascii, type Bytes } from '../protocol/bytes';

const MARK = 'bytes:';

/** A value of objects, lists, numbers, texts and bytes, written down. */
export function pack(value: unknown): Bytes {
  return ascii(
    JSON.stringify(value, (_, each) => {
      if (each instanceof Uint8Array) return MARK + toBase64Url(each);
      return typeof each === 'string' ? `text:${each}` : each;
    }),
  );
}

/** Undo `pack`. */
export function unpack<T>(packed: Bytes): T {
  return JSON.parse(new TextDecoder().decode(packed), (_, each) => {
    if (typeof each !== 'string') return each;
    return each.startsWith(MARK) ? fromBase64Url(each.slice(MARK.length)) : each.slice(5);
  });
}
