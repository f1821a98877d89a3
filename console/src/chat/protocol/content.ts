/**
 * What a message says, apart from how it is protected: a head, and a text, which goes under pad.
 *
 * Layouts are in spec/chat.md, 5.
 */

import { type Bytes, big, equal, join, Reader, Short } from './bytes';
import { ChatMisuse, ContentMalformed } from './errors';

export const ID_BYTES = 16;
/** Number and hash of a group's roster: by which of them its author took the group. */
const VIEW_BYTES = 36;
/** Text of one part: with everything else it fits the largest payload, also that of an opening. */
export const PART_BYTES = 6144;
export const MAX_TEXT_BYTES = 65_536;
export const MAX_PARTS = Math.ceil(MAX_TEXT_BYTES / PART_BYTES);
const MAX_NAME_BYTES = 255;
/** Number, chunk of a file, and its tag. */
export const CHUNK_TEXT_BYTES = 4 + 12_288 + 16;
export const MAX_TIMER_S = 365 * 86_400;
/** The last moment that a calendar has, in milliseconds since the epoch. */
export const LAST_MS = 8_640_000_000_000_000;

export const Kind = {
  text: 1,
  reply: 2,
  edit: 3,
  delete: 4,
  timer: 5,
  file: 6,
  fileKey: 7,
  delivered: 16,
  read: 17,
  typing: 18,
  padOffer: 19,
  refused: 20,
  card: 21,
  aborted: 22,
  padLost: 23,
  chunk: 24,
  ask: 25,
  stop: 26,
  roster: 27,
  rosterAsk: 28,
  introduction: 29,
  left: 30,
  renew: 31,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** One content, or one part of a long one. */
export interface Content {
  readonly kind: Kind;
  /** Random; all parts of a content share it. */
  readonly id: Bytes;
  /** The sender's clock, milliseconds since the epoch. */
  readonly sentMs: number;
  /** Words are UTF-8. Secret. */
  readonly text: Bytes;
  readonly group?: Bytes;
  /** Of what is said in a group: number 4 ‖ hash 32 of the roster that its author went by. */
  readonly view?: Bytes;
  /** Id of the message it refers to. */
  readonly target?: Bytes;
  /** After how many seconds the message disappears, once read. */
  readonly timerS?: number;
  /** Which part this is, from 0. */
  readonly part: number;
  /** Of how many. */
  readonly parts: number;
}

const KINDS: ReadonlySet<number> = new Set(Object.values(Kind));
const of = (...kinds: Kind[]): ReadonlySet<Kind> => new Set(kinds);
const { text, reply, edit, file, fileKey, timer, roster, introduction } = Kind;
const NEEDS_TARGET = of(reply, edit, Kind.delete, Kind.chunk, Kind.ask, Kind.stop);
const OF_GROUPS = of(roster, Kind.rosterAsk, introduction, Kind.left);
const MAY_HAVE_GROUP = of(...OF_GROUPS, Kind.typing);
const HAS_PARTS = of(text, reply, edit, file, roster, introduction, Kind.renew);
const HAS_WORDS = of(text, reply, edit);
const HAS_IDS = of(Kind.delivered, Kind.read, Kind.refused, Kind.aborted);
const HAS_NOTHING = of(Kind.delete, timer, Kind.typing, Kind.stop);
const NUMBERED = of(Kind.rosterAsk, Kind.left);
const MAY_HAVE_TIMER = of(text, reply, edit, file, fileKey, timer);
const LIMITS: Partial<Record<Kind, number>> = {
  [file]: 1 + MAX_NAME_BYTES + MAX_TEXT_BYTES,
  [fileKey]: 72 + MAX_NAME_BYTES,
  [Kind.chunk]: CHUNK_TEXT_BYTES,
};

/** When it was said, for people: whatever its sender's clock said, a calendar has it. */
export function whenOf({ sentMs }: Content): number {
  return Math.min(sentMs, LAST_MS);
}

/** Whether it is one of those that one-time pad is for: words, and what changes them. */
export function isPadded(kind: Kind): boolean {
  return kind < Kind.delivered;
}

function isUtf8(bytes: Bytes): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** What is wrong with a content, as what would be right. */
function fault(content: Content): string | null {
  const { kind, timerS, parts } = content;
  const length = content.text.length;
  const isOfId = (bytes?: Bytes) => bytes === undefined || bytes.length === ID_BYTES;
  const limit = parts > 1 ? PART_BYTES : (LIMITS[kind] ?? MAX_TEXT_BYTES);
  const inGroup = content.group !== undefined && isPadded(kind);
  const whole = (value: number) => Number.isSafeInteger(value) && value >= 0;
  const checks: readonly (readonly [string, boolean])[] = [
    ['a kind of this version', KINDS.has(kind)],
    ['ids of 16 bytes', [content.id, content.group, content.target].every(isOfId)],
    ['a time in milliseconds', whole(content.sentMs)],
    [
      'a target exactly where one is needed',
      NEEDS_TARGET.has(kind) === (content.target !== undefined),
    ],
    ['a timer of at most a year', whole(timerS ?? 0) && (timerS ?? 0) <= MAX_TIMER_S],
    ['a timer where words are, or are to come', timerS === undefined || MAY_HAVE_TIMER.has(kind)],
    [
      'a group where one is meant',
      content.group ? inGroup || MAY_HAVE_GROUP.has(kind) : !OF_GROUPS.has(kind),
    ],
    [
      'a roster with what is said in a group',
      (content.view !== undefined) === inGroup &&
        (content.view?.length ?? VIEW_BYTES) === VIEW_BYTES,
    ],
    ["a roster's number", !NUMBERED.has(kind) || length === 4],
    ['a timer', kind !== timer || timerS !== undefined],
    [`part of 1 to ${MAX_PARTS}`, content.part >= 0 && content.part < parts && parts <= MAX_PARTS],
    ['one part where there are no words', parts === 1 || HAS_PARTS.has(kind)],
    [`a text of at most ${limit} bytes`, length <= limit],
    ['no text', !HAS_NOTHING.has(kind) || length === 0],
    ['ids of 16 bytes each', !HAS_IDS.has(kind) || (length > 0 && length % ID_BYTES === 0)],
    ['the ids of a message and of its pad', kind !== Kind.padLost || length === 2 * ID_BYTES],
    ['words in UTF-8', !HAS_WORDS.has(kind) || parts > 1 || isUtf8(content.text)],
  ];
  return checks.find(([, holds]) => !holds)?.[0] ?? null;
}

/** What is given, with the rest filled in. @throws ChatMisuse if something is out of its bounds. */
export function makeContent(
  given: Pick<Content, 'kind' | 'id' | 'sentMs'> & Partial<Content>,
): Content {
  const content: Content = { text: new Uint8Array(), part: 0, parts: 1, ...given };
  const wrong = fault(content);
  if (wrong !== null) throw new ChatMisuse(`expected ${wrong}, got another content`);
  return content;
}

/** Everything but the text; it says itself where it ends. */
export function encodeHead(content: Content): Bytes {
  const { group, view, target, timerS, part, parts } = content;
  const there = [group, target, timerS, parts > 1 || undefined, view];
  const flags = there.reduce<number>((sum, one, at) => sum + (one === undefined ? 0 : 1 << at), 0);
  const none = new Uint8Array();
  return join(
    Uint8Array.of(content.kind, flags),
    content.id,
    big(content.sentMs, 8),
    group ?? none,
    view ?? none,
    target ?? none,
    timerS === undefined ? none : big(timerS, 4),
    parts > 1 ? Uint8Array.of(part, parts) : none,
  );
}

/**
 * The content of an authentic message.
 *
 * @throws ContentMalformed if it is none of this version, or its text does not go with it.
 */
export function decodeContent(head: Bytes, body: Bytes): Content {
  const reader = new Reader(head);
  try {
    const [kind, flags] = [reader.number(1) as Kind, reader.number(1)];
    const content = makeContent({
      kind,
      id: reader.take(ID_BYTES),
      sentMs: reader.number(8),
      text: body,
      ...(flags & 1 ? { group: reader.take(ID_BYTES) } : {}),
      ...(flags & 16 ? { view: reader.take(VIEW_BYTES) } : {}),
      ...(flags & 2 ? { target: reader.take(ID_BYTES) } : {}),
      ...(flags & 4 ? { timerS: reader.number(4) } : {}),
      ...(flags & 8 ? { part: reader.number(1), parts: reader.number(1) } : {}),
    });
    // There is one way to write a content, so that nothing hides in another.
    if (equal(encodeHead(content), head)) return content;
  } catch (error) {
    if (!(error instanceof ChatMisuse || error instanceof Short)) throw error;
  }
  throw new ContentMalformed('expected a content of this version, got another');
}

/** The id in a head whose text could not be read; null if it is no head. */
export function idOf(head: Bytes): Bytes | null {
  return head.length >= 2 + ID_BYTES + 8 ? head.slice(2, 2 + ID_BYTES) : null;
}

/** The parts in which a content of any permitted length travels; they may cut a character. */
export function split(content: Content): readonly Content[] {
  if (content.kind === Kind.chunk) return [content];
  const parts = Math.max(1, Math.ceil(content.text.length / PART_BYTES));
  return Array.from({ length: parts }, (_, part) =>
    makeContent({
      ...content,
      text: content.text.slice(part * PART_BYTES, (part + 1) * PART_BYTES),
      part,
      parts,
    }),
  );
}

/**
 * The whole content, from all its parts in any order.
 *
 * @throws ContentMalformed if a part is missing or of another content, or words are not UTF-8.
 */
export function joinParts(parts: readonly Content[]): Content {
  const ordered = parts.toSorted((one, other) => one.part - other.part);
  const [first] = ordered;
  const head = (each: Content) => encodeHead({ ...each, part: 0 });
  const whole =
    first !== undefined &&
    ordered.length === first.parts &&
    ordered.every((each, at) => each.part === at && equal(head(each), head(first)));
  if (!whole) throw new ContentMalformed('expected all parts of one content, got others');
  try {
    const bytes = join(...ordered.map((each) => each.text));
    return makeContent({ ...first, text: bytes, part: 0, parts: 1 });
  } catch (error) {
    if (!(error instanceof ChatMisuse)) throw error;
    throw new ContentMalformed('expected words in UTF-8, got other bytes');
  }
}
