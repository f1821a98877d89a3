// @vitest-environment node
/** Known answers of vectors/chat/file.json, and what is none of a file. */

import { describe, expect, it } from 'vitest';
import { toHex } from '../../shared/merkle';
import { ascii, type Bytes, join, zeros } from './bytes';
import { ContentMalformed } from './errors';
import {
  askText,
  chunksOf,
  chunkText,
  encodeFileKey,
  MAX_FILE_BYTES,
  openChunk,
  rangesOf,
  readAskText,
  readChunkText,
  readFileKey,
  readSmallFile,
  safeName,
  sealChunk,
  smallFile,
} from './file';
import { hex, known } from './testing/known';

interface Known {
  key: string;
  id: string;
  size: number;
  sha256: string;
  file_key: string;
  chunks: { number: number; byte: number; length: number; end: string }[];
  small: { name: string; data: string; text: string };
}

const { small, ...file } = known<Known>('chat/file.json');
const id = hex(file.id);
const about = {
  key: hex(file.key),
  sha256: hex(file.sha256),
  size: file.size,
  name: small.name,
};

describe('a file', () => {
  it('is sealed as the Python side seals it', async () => {
    expect(chunksOf(file.size)).toBe(file.chunks.length);
    for (const { number, byte, length, end } of file.chunks) {
      const chunk = zeros(length).fill(byte);
      const sealed = await sealChunk(about, id, number, chunk);
      expect(toHex(sealed.slice(-32))).toBe(end);
      expect(await openChunk(about, id, number, sealed)).toEqual(chunk);
      await expect(openChunk(about, id, number + 1, sealed)).rejects.toThrow(ContentMalformed);
      await expect(openChunk(about, zeros(16), number, sealed)).rejects.toThrow(ContentMalformed);
    }
  });

  it('is told of as the Python side tells of it', () => {
    expect(toHex(encodeFileKey(about))).toBe(file.file_key);
    expect(readFileKey(hex(file.file_key))).toEqual(about);
    expect(toHex(smallFile(small.name, hex(small.data)))).toBe(small.text);
    expect(readSmallFile(hex(small.text))).toEqual({ name: small.name, bytes: hex(small.data) });
  });

  it.each<[string, Bytes]>([
    ['nothing', zeros(0)],
    ['no name', encodeFileKey(about).slice(0, 72)],
    ['a name that is no UTF-8', join(encodeFileKey(about), Uint8Array.of(0xff))],
    ['a file that fits a message', encodeFileKey({ ...about, size: 65_536 })],
    ['a file that is too large', encodeFileKey({ ...about, size: MAX_FILE_BYTES + 1 })],
  ])('has no key of %s', (_, text) => {
    expect(() => readFileKey(text)).toThrow(ContentMalformed);
  });

  it('has a name that is none of a path, and steers no screen', () => {
    expect(safeName('../../etc/pass\u202ewd')).toBe('passwd');
    expect(safeName('C:\\x\u0007.txt')).toBe('x.txt');
    expect(safeName('/')).toBe('?');
    const long = encodeFileKey({ ...about, name: 'ß'.repeat(200) });
    expect(readFileKey(long).name).toBe('ß'.repeat(127));
  });
});

describe('chunks', () => {
  it('are asked for in few ranges, and no more than may be', () => {
    expect(rangesOf([])).toEqual([]);
    expect(rangesOf([0, 1, 2, 5, 7, 8])).toEqual([
      [0, 3],
      [5, 1],
      [7, 2],
    ]);
    expect(rangesOf(Array.from({ length: 99 }, (_, at) => at))).toEqual([[0, 64]]);
    expect(rangesOf(Array.from({ length: 99 }, (_, at) => 2 * at))).toHaveLength(16);
    const ranges = rangesOf([3, 4, 9]);
    expect(readAskText(askText(ranges), 10)).toEqual([3, 4, 9]);
    expect(readAskText(zeros(0), 10)).toEqual([]);
  });

  it.each<[string, Bytes]>([
    ['half a range', zeros(4)],
    ['too many ranges', zeros(17 * 8)],
    ['too many chunks', askText([[0, 65]])],
    ['chunks that are not there', askText([[9, 2]])],
    ['more than all', askText([[0, 0xffff_ffff]])],
  ])('are refused to who asks for %s', (_, text) => {
    expect(() => readAskText(text, 10)).toThrow(ContentMalformed);
  });

  it('have their number with them', () => {
    const sealed = ascii('sealed');
    expect(readChunkText(chunkText(7, sealed))).toEqual([7, sealed]);
    expect(() => readChunkText(zeros(3))).toThrow(ContentMalformed);
  });
});
