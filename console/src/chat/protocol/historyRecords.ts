/**
 * What a file of history has: whose it is, whom they know, what was said, and an end that counts.
 *
 * Nothing in it is a key. Whatever is longer, of another type or out of its bounds is refused here.
 * Source: spec/history.md, 3.
 */

import type { Schemas } from '../../api/client';
import type { Bytes } from './bytes';
import { Kind, LAST_MS, MAX_PARTS, MAX_TIMER_S } from './content';
import { HistoryRefused } from './errors';
import { MAX_FILE_BYTES } from './file';
import { FINGERPRINT_BYTES, IDENTITY_BYTES } from './identity';
import { type Packed, packed, Unpackable, unpacked } from './msgpack';
import type { Policy } from './pads';

export const MAX_PEOPLE = 20_000;
export const MAX_MESSAGES = 1_000_000;
const MAX_NAME_BYTES = 240;
const MAX_WORDS = 65_536;
const MAX_SOURCE = 256;
/** Pads of one message, and so the sessions that gave them. */
const MAX_SESSIONS = 2 * MAX_PARTS;
const MAX_PAD_BYTES = 2 ** 24;
/** A record, its sessions, one of them, its steps, one of them. */
const DEPTH = 5;

type SessionRecord = Schemas['SessionRecord'];

/** The first record. */
export interface About {
  readonly is: 'about';
  readonly owner: Bytes;
  readonly madeMs: number;
}

/** Somebody whom the owner knows. */
export interface Somebody {
  readonly is: 'somebody';
  readonly identity: Bytes;
  readonly name: string;
  readonly policy: Policy;
  readonly mode: 'pool' | 'fresh';
  readonly timerS: number;
  readonly isBlocked: boolean;
}

export type SaidKind =
  | typeof Kind.text
  | typeof Kind.reply
  | typeof Kind.file
  | typeof Kind.fileKey;

/** One message, in the order in which the owner has it. */
export interface Said {
  readonly is: 'said';
  /** Fingerprint of with whom; the owner's own for notes. */
  readonly contact: Bytes;
  readonly ours: boolean;
  readonly id: Bytes;
  /** Theirs: 0 not read. Ours: 1 sent, 2 delivered, 3 read, 4 refused. */
  readonly state: number;
  readonly kind: SaidKind;
  readonly sentMs: number;
  /** The words, or the name of an attachment. */
  readonly text: string;
  readonly group: Bytes | null;
  readonly target: Bytes | null;
  readonly timerS: number | null;
  /** Seconds since the epoch; null while its time does not run. */
  readonly goneS: number | null;
  readonly edited: boolean;
  readonly padSource: string | null;
  readonly padBytes: number;
  readonly mixedSource: string | null;
  readonly padIds: readonly Bytes[];
  /** Of an attachment, which itself is not here. */
  readonly size: number | null;
  /** For each pad; null: it was from stock. */
  readonly sessions: readonly (SessionRecord | null)[];
}

/** The last record: how many were before it. */
export interface End {
  readonly is: 'end';
  readonly people: number;
  readonly messages: number;
}

export type HistoryRecord = About | Somebody | Said | End;

export function encodeRecord(record: HistoryRecord): Bytes {
  switch (record.is) {
    case 'about':
      return packed(['about', record.owner, record.madeMs]);
    case 'somebody':
      return packed([
        'somebody',
        record.identity,
        record.name,
        record.policy,
        record.mode,
        record.timerS,
        record.isBlocked,
      ]);
    case 'said':
      return packed([
        'said',
        record.contact,
        record.ours,
        record.id,
        record.state,
        record.kind,
        record.sentMs,
        record.text,
        record.group,
        record.target,
        record.timerS,
        record.goneS,
        record.edited,
        record.padSource,
        record.padBytes,
        record.mixedSource,
        record.padIds,
        record.size,
        record.sessions.map((each) => each && sessionPacked(each)),
      ]);
    case 'end':
      return packed(['end', record.people, record.messages]);
  }
}

const sessionPacked = ({ steps, ...rest }: SessionRecord): Packed => ({
  ...rest,
  steps: steps.map(({ step, ms }) => ({ step, ms })),
});

/** @throws HistoryRefused if it is no record of this version. */
export function readRecord(bytes: Bytes): HistoryRecord {
  try {
    const value = unpacked(bytes, DEPTH, true);
    if (isList(value)) {
      const fields = new Fields(value);
      const record = read(fields);
      if (record && fields.left === 0) return record;
    }
  } catch (error) {
    if (!(error instanceof Unpackable)) throw error;
  }
  throw malformed('records of this version');
}

/** What a history was expected to have. */
export const malformed = (expected: string): HistoryRefused =>
  new HistoryRefused(`expected a history to have ${expected}, got another`);

const isList = (value: Packed): value is readonly Packed[] => Array.isArray(value);

/** Fields of a record, one after the other. */
class Fields {
  private at = 0;

  constructor(private readonly all: readonly Packed[]) {}

  get left(): number {
    return this.all.length - this.at;
  }

  take(): Packed {
    const value = this.all[this.at];
    this.at += 1;
    if (value === undefined) throw malformed('all fields of its records');
    return value;
  }

  bytes(length: number): Bytes {
    return bytesOf(this.take(), length);
  }

  bytesOrNull(length: number): Bytes | null {
    const value = this.take();
    return value === null ? null : bytesOf(value, length);
  }

  number(least: number, most: number): number {
    return numberOf(this.take(), least, most);
  }

  numberOrNull(least: number, most: number): number | null {
    const value = this.take();
    return value === null ? null : numberOf(value, least, most);
  }

  /** A time is any that a clock may say; one that no calendar has is the last that it has. */
  time(most: number): number {
    return Math.min(most, numberOf(this.take(), 0, Number.MAX_VALUE));
  }

  truth(): boolean {
    const value = this.take();
    if (typeof value !== 'boolean') throw malformed('truth where it is told');
    return value;
  }

  text(most: number): string {
    return textOf(this.take(), most);
  }

  textOrNull(most: number): string | null {
    const value = this.take();
    return value === null ? null : textOf(value, most);
  }

  oneOf<T extends string>(...all: readonly T[]): T {
    const value = this.take();
    const found = all.find((each) => each === value);
    if (found === undefined) throw malformed('a word of this version');
    return found;
  }

  list(most: number): readonly Packed[] {
    const value = this.take();
    if (!isList(value) || value.length > most) throw malformed(`at most ${most} of each list`);
    return value;
  }
}

function bytesOf(value: Packed, length: number): Bytes {
  if (value instanceof Uint8Array && value.length === length) return value;
  throw malformed(`bytes of their length`);
}

function numberOf(value: Packed, least: number, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most)
    return value;
  throw malformed('numbers in their bounds');
}

function realOf(value: Packed, least: number, most: number): number {
  if (typeof value === 'number' && value >= least && value <= most) return value;
  throw malformed('measurements in their bounds');
}

function textOf(value: Packed, most: number, least = 0): string {
  if (typeof value === 'string' && value.length <= 2 * most) {
    const letters = [...value].length;
    if (letters >= least && letters <= most) return value;
  }
  throw malformed('texts of their length');
}

/** Whether all of a name prints, and there is some of it. */
export function isName(name: string): boolean {
  const length = new TextEncoder().encode(name).length;
  return length >= 1 && length <= MAX_NAME_BYTES && doesPrint(name);
}

/** Whether there is no character in it that hides, or does something to others. */
export const doesPrint = (text: string): boolean => !UNPRINTED.test(text);

const UNPRINTED = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

/** A name that `isName`; where nothing is left of one, another. */
export function nameFor(name: string, another: string): string {
  let letters = [...name].filter((each) => !UNPRINTED.test(each));
  while (new TextEncoder().encode(letters.join('')).length > MAX_NAME_BYTES)
    letters = letters.slice(0, -1);
  return letters.join('').trim() || another;
}

function read(fields: Fields): HistoryRecord | null {
  const is = fields.take();
  if (is === 'about')
    return { is, owner: fields.bytes(FINGERPRINT_BYTES), madeMs: fields.time(LAST_MS) };
  if (is === 'end')
    return {
      is,
      people: fields.number(0, MAX_PEOPLE),
      messages: fields.number(0, MAX_MESSAGES),
    };
  if (is === 'somebody') return somebody(fields);
  if (is === 'said') return said(fields);
  return null;
}

function somebody(fields: Fields): Somebody {
  const identity = fields.bytes(IDENTITY_BYTES);
  const name = fields.text(MAX_NAME_BYTES);
  if (!isName(name)) throw malformed('names that print');
  return {
    is: 'somebody',
    identity,
    name,
    policy: fields.oneOf<Policy>('require', 'prefer', 'off'),
    mode: fields.oneOf('pool', 'fresh'),
    timerS: fields.number(0, MAX_TIMER_S),
    isBlocked: fields.truth(),
  };
}

const KINDS: readonly SaidKind[] = [Kind.text, Kind.reply, Kind.file, Kind.fileKey];
export const saidKind = (kind: Packed): SaidKind | undefined => KINDS.find((each) => each === kind);
export const isFile = (kind: Kind): boolean => kind === Kind.file || kind === Kind.fileKey;

function said(fields: Fields): Said {
  const record: Said = {
    is: 'said',
    contact: fields.bytes(FINGERPRINT_BYTES),
    ours: fields.truth(),
    id: fields.bytes(16),
    state: fields.number(0, 4),
    kind: kindOf(fields.take()),
    sentMs: fields.time(LAST_MS),
    text: fields.text(MAX_WORDS),
    group: fields.bytesOrNull(16),
    target: fields.bytesOrNull(16),
    timerS: fields.numberOrNull(1, MAX_TIMER_S),
    goneS: fields.numberOrNull(0, Number.MAX_VALUE),
    edited: fields.truth(),
    padSource: fields.textOrNull(MAX_SOURCE),
    padBytes: fields.number(0, MAX_PAD_BYTES),
    mixedSource: fields.textOrNull(MAX_SOURCE),
    padIds: fields.list(MAX_SESSIONS).map((each) => bytesOf(each, 16)),
    size: fields.numberOrNull(0, MAX_FILE_BYTES),
    sessions: fields.list(MAX_SESSIONS).map((each) => (each === null ? null : session(each))),
  };
  const isReply = record.kind === Kind.reply;
  const holds =
    !(record.ours && record.state === 0) &&
    (record.target !== null) === isReply &&
    (record.size === null || isFile(record.kind)) &&
    record.padIds.length === record.sessions.length;
  if (!holds) throw malformed('messages as a device has them');
  return record;
}

function kindOf(value: Packed): SaidKind {
  const found = saidKind(value);
  if (found === undefined) throw malformed('words and attachments');
  return found;
}

type Check = (value: Packed) => Packed;
const within =
  (most: number): Check =>
  (value) =>
    textOf(value, most);
const counted: Check = (value) => numberOf(value, 0, 2 ** 53);
const measured: Check = (value) => realOf(value, -Number.MAX_VALUE, Number.MAX_VALUE);
const lasting: Check = (value) => realOf(value, 0, 1e9);
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null ? null : check(value);
const named: Check = (value) => textOf(value, 256, 1);

/** Of docs/reference/etsi014.md, "The record". */
const OF_SESSION: Readonly<Record<keyof SessionRecord, Check>> = {
  session: (value) => textOf(value, 36, 36),
  master: named,
  slave: named,
  source: within(32),
  began_at: measured,
  verdict: (value) => {
    if (value !== 'accept' && value !== 'abort') throw malformed('sessions with a verdict');
    return value;
  },
  reason: orNull(within(400)),
  message: orNull(within(400)),
  pairs: counted,
  coincidences: counted,
  sifted_bits: counted,
  test_pairs: counted,
  s: orNull(measured),
  s_stderr: orNull(measured),
  s_lower: orNull(measured),
  qber: orNull(measured),
  qber_stderr: orNull(measured),
  leaked_bits: counted,
  verification_bits: counted,
  final_bits: counted,
  epsilon: orNull(measured),
  public_bytes: counted,
  steps: (value) => {
    if (!isList(value) || value.length > 32) throw malformed('at most 32 steps of a session');
    return value.map(step);
  },
  total_ms: lasting,
};

function step(value: Packed): Packed {
  const { step: name = null, ms = null } = mapOf(value);
  return { step: textOf(name, 32), ms: lasting(ms) };
}

function mapOf(value: Packed): { readonly [name: string]: Packed } {
  const isMap = value !== null && typeof value === 'object' && !isList(value);
  if (isMap && !(value instanceof Uint8Array)) return value;
  throw malformed('records of sessions');
}

function session(value: Packed): SessionRecord {
  const given = mapOf(value);
  const checked = Object.entries(OF_SESSION).map(([name, check]) => {
    const field = given[name];
    if (field === undefined) throw malformed('whole records of sessions');
    return [name, check(field)];
  });
  return Object.fromEntries(checked);
}
