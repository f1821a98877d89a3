// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { ascii, big, join, zeros } from './bytes';
import {
  type Content,
  decodeContent,
  encodeHead,
  idOf,
  joinParts,
  Kind,
  MAX_PARTS,
  MAX_TEXT_BYTES,
  makeContent,
  PART_BYTES,
  split,
  whenOf,
} from './content';
import { ChatMisuse, ContentMalformed } from './errors';

const [id, other] = [zeros(16).fill(1), zeros(16).fill(2)];
const base = { kind: Kind.text, id, sentMs: 1_800_000_000_000 } as const;

describe('a content', () => {
  it.each<Partial<Content>>([
    { text: ascii('words') },
    { kind: Kind.reply, target: other, timerS: 60 },
    { kind: Kind.timer, timerS: 0 },
    { group: other, view: zeros(36) },
    { part: 3, parts: 11, text: Uint8Array.of(0xff) },
    { kind: Kind.delivered, text: zeros(32) },
    { kind: Kind.padLost, text: zeros(32) },
    { kind: Kind.left, group: other, text: zeros(4) },
    { kind: Kind.typing, group: other },
  ])('is read as it was written: %j', (more) => {
    const content = makeContent({ ...base, ...more });
    const head = encodeHead(content);
    expect(decodeContent(head, content.text)).toEqual(content);
    expect(idOf(head)).toEqual(id);
    for (let end = 0; end < head.length; end += 1)
      expect(() => decodeContent(head.slice(0, end), content.text)).toThrow(ContentMalformed);
    expect(() => decodeContent(join(head, zeros(1)), content.text)).toThrow(ContentMalformed);
  });

  it.each<Partial<Content>>([
    { kind: 99 as Kind },
    { id: zeros(15) },
    { sentMs: -1 },
    { sentMs: 2 ** 60 },
    { kind: Kind.reply },
    { target: other },
    { timerS: 365 * 86_400 + 1 },
    { kind: Kind.typing, timerS: 1 },
    { kind: Kind.typing, group: other, view: zeros(36) },
    { kind: Kind.timer },
    { group: other },
    { view: zeros(36) },
    { kind: Kind.roster },
    { kind: Kind.left, group: other, text: zeros(5) },
    { part: 2, parts: 2 },
    { part: 0, parts: MAX_PARTS + 1 },
    { kind: Kind.typing, text: zeros(1) },
    { kind: Kind.typing, parts: 2 },
    { kind: Kind.read },
    { kind: Kind.read, text: zeros(17) },
    { kind: Kind.padLost, text: zeros(31) },
    { text: zeros(MAX_TEXT_BYTES + 1) },
    { text: zeros(PART_BYTES + 1), parts: 2 },
    { text: Uint8Array.of(0xff) },
  ])('is not made out of its bounds: %j', (more) => {
    expect(() => makeContent({ ...base, ...more })).toThrow(ChatMisuse);
  });

  it('was said when a calendar has it, whatever the clock of its sender says', () => {
    const late = makeContent({ ...base, sentMs: Number.MAX_SAFE_INTEGER });
    expect(new Date(whenOf(late)).toISOString()).toBe('+275760-09-13T00:00:00.000Z');
    expect(whenOf(makeContent(base))).toBe(base.sentMs);
  });

  it('has one way to be written', () => {
    const head = join(Uint8Array.of(1, 8), id, big(5, 8), Uint8Array.of(0, 1));
    expect(() => decodeContent(head, zeros(0))).toThrow(ContentMalformed);
    const unknown = join(Uint8Array.of(1, 32), id, big(5, 8));
    expect(() => decodeContent(unknown, zeros(0))).toThrow(ContentMalformed);
  });
});

describe('a long text', () => {
  const long = makeContent({ ...base, text: ascii('½'.repeat(PART_BYTES)) });

  it('travels in parts, which come together in any order', () => {
    const parts = split(long);
    expect(parts.map(({ text }) => text.length)).toEqual([PART_BYTES, PART_BYTES]);
    expect(joinParts(parts.toReversed())).toEqual(long);
    expect(split(makeContent(base))).toEqual([makeContent(base)]);
  });

  it('is not put together from parts of others, too few, or no words', () => {
    const [first, second] = split(long) as [Content, Content];
    for (const bad of [[first], [first, first], [first, { ...second, sentMs: 0 }], []])
      expect(() => joinParts(bad)).toThrow(ContentMalformed);
    const broken = { ...second, text: Uint8Array.of(0xff) };
    expect(() => joinParts([first, broken])).toThrow(ContentMalformed);
  });
});
