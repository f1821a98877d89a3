// @vitest-environment node
import 'fake-indexeddb/auto';
import { describe, expect, it, vi } from 'vitest';
import { fromHex, toHex } from '../../shared/merkle';
import { ModelLink } from '../engine/testing/keys';
import { ModelRelay } from '../engine/testing/relay';
import { type Side, side, two, until } from '../engine/testing/sides';
import { type Bytes, join } from '../protocol/bytes';
import { Kind } from '../protocol/content';
import { ChatMisuse, CodeMalformed, HistoryRefused } from '../protocol/errors';
import { readCode, spellCode } from '../protocol/historyCode';
import { readSealed, SealedWriter } from '../protocol/historyFile';
import {
  encodeRecord,
  type HistoryRecord,
  readRecord,
  type Said,
} from '../protocol/historyRecords';
import { type Packed, packed, unpacked } from '../protocol/msgpack';
import { known } from '../protocol/testing/known';
import { contacts } from './contacts';
import { type Given, readHistory, type Taken } from './history';
import { type MessageRecord, waiting } from './talk';

const KNOWN = known<{
  code: string;
  spelt: string;
  id: string;
  records: string[];
  file: string;
  long: { sizes: number[]; bytes: number; sha256: string };
}>('chat/history.json');
const CODE = fromHex(KNOWN.code);
const FILE = fromHex(KNOWN.file);
const RECORDS = KNOWN.records.map(fromHex);
const OWNER = RECORDS[0]?.slice(9, 41) ?? new Uint8Array();
const MADE_MS = 1_800_000_000_000;
const NOTHING: Taken = {
  people: 0,
  messages: 0,
  known: 0,
  attachments: 0,
  expired: 0,
  leftOut: 0,
};

async function recordsOf(file: Blob, code = CODE): Promise<Bytes[]> {
  const found: Bytes[] = [];
  for await (const each of readSealed(file, code)) found.push(each);
  return found;
}

async function sealed(records: readonly Bytes[]): Promise<Blob> {
  const writer = await SealedWriter.begin(CODE, fromHex(KNOWN.id));
  for (const each of records) await writer.add(each);
  return writer.finish();
}

const bytesOf = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());
const words = ({ content }: MessageRecord) => new TextDecoder().decode(content.text);
const talk = (one: Side, name: string) =>
  one.chat.view().conversations.find(({ contact }) => contact.name === name);

describe('a file of history', () => {
  it('is spelt, sealed and opened as the known answers have it', async () => {
    expect(await spellCode(CODE)).toBe(KNOWN.spelt);
    expect(await readCode(` ${KNOWN.spelt.toLowerCase().replaceAll('-', ' ')}`)).toEqual(CODE);
    expect(await bytesOf(await sealed(RECORDS))).toEqual(FILE);
    expect(await recordsOf(new Blob([FILE]))).toEqual(RECORDS);
    const long = KNOWN.long.sizes.map((size, at) => new Uint8Array(size).fill(at));
    const file = await sealed(long);
    const hash = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
    expect([file.size, toHex(new Uint8Array(hash))]).toEqual([KNOWN.long.bytes, KNOWN.long.sha256]);
    expect(await recordsOf(file)).toEqual(long);
  });

  it('has a code that is told from a slip, and read where letters look alike', async () => {
    const slip = KNOWN.spelt.replace(/^./, (each) => (each === 'A' ? 'B' : 'A'));
    for (const typed of [slip, KNOWN.spelt.slice(1), `${KNOWN.spelt}A`, '', 'é'.repeat(32)])
      await expect(readCode(typed)).rejects.toThrow(CodeMalformed);
    const like = { O: '0', I: '1', B: '8' } as const;
    const typed = KNOWN.spelt.replaceAll(/[OIB]/g, (each) => like[each as keyof typeof like]);
    expect(await readCode(typed)).toEqual(CODE);
  });

  it('is none where any byte is another, it was cut, or goes on', async () => {
    const long = await bytesOf(await sealed([new Uint8Array(70_000), new Uint8Array(70_000)]));
    const first = 37 + 65_536 + 16;
    for (const at of [0, 4, 5, 20, 21, 36, 37, first - 1, first, long.length - 1]) {
      const spoilt = long.slice();
      spoilt[at] = (spoilt[at] ?? 0) ^ 1;
      await expect(recordsOf(new Blob([spoilt]))).rejects.toThrow(HistoryRefused);
    }
    for (const length of [0, 4, 36, 37, first, long.length - 1])
      await expect(recordsOf(new Blob([long.slice(0, length)]))).rejects.toThrow(HistoryRefused);
    const more = [join(long, new Uint8Array(1)), join(long.slice(0, first), long.slice(37))];
    for (const each of more)
      await expect(recordsOf(new Blob([each]))).rejects.toThrow(HistoryRefused);
    await expect(recordsOf(new Blob([FILE]), new Uint8Array(16))).rejects.toThrow('the code of');
    const writer = await SealedWriter.begin(CODE);
    await expect(writer.add(new Uint8Array(262_145))).rejects.toThrow(RangeError);
  });

  it('has records whose every field is in its bounds', () => {
    for (const each of RECORDS)
      expect(readRecord(encodeRecord(readRecord(each)))).toEqual(readRecord(each));
    const [about, somebody, , said, , , , , , , , end] = RECORDS.map(
      (each) => unpacked(each, 5) as readonly Packed[],
    );
    const refuses = (record: readonly Packed[] | undefined, at: number, value: Packed) => {
      const other = record?.with(at, value) ?? [];
      expect(() => readRecord(packed(other)), `${record?.[0]} ${at}`).toThrow(HistoryRefused);
    };
    const bytes = (length: number) => new Uint8Array(length);
    refuses(about, 0, 'another');
    refuses(about, 1, bytes(31));
    refuses(about, 2, -1);
    for (const [at, value] of [
      [1, bytes(1983)],
      [2, ''],
      [2, 'a\u0007'],
      [2, 'x'.repeat(241)],
      [3, 'never'],
      [4, 'both'],
      [5, 365 * 86_400 + 1],
      [6, 1],
    ] as const)
      refuses(somebody, at, value);
    const [session = {}] = (said?.[18] ?? []) as readonly { readonly [name: string]: Packed }[];
    const { pairs: _, ...part } = session;
    for (const [at, value] of [
      [1, bytes(33)],
      [2, 0],
      [3, bytes(15)],
      [4, 5],
      [4, 0],
      [5, 3],
      [6, 'now'],
      [7, 'x'.repeat(65_537)],
      [8, bytes(15)],
      [9, bytes(16)],
      [10, 0],
      [11, -1],
      [12, null],
      [13, 'x'.repeat(257)],
      [14, 2 ** 24 + 1],
      [15, 7],
      [16, [bytes(16)]],
      [16, Array(23).fill(bytes(16))],
      [17, 5],
      [18, [null]],
      [18, [{ ...session, verdict: 'perhaps' }, null]],
      [18, [{ ...session, pairs: -1 }, null]],
      [18, [{ ...session, steps: Array(33).fill({ step: 'x', ms: 1 }) }, null]],
      [18, [part, null]],
      [18, [0, null]],
    ] as const)
      refuses(said, at, value as Packed);
    refuses(end, 1, 20_001);
    for (const each of [about, somebody, said, end]) {
      expect(() => readRecord(packed([...(each ?? []), null]))).toThrow(HistoryRefused);
      expect(() => readRecord(packed((each ?? []).slice(0, -1)))).toThrow(HistoryRefused);
    }
    expect(() => readRecord(packed({ is: 'about' }))).toThrow(HistoryRefused);
    expect(() => readRecord(new Uint8Array())).toThrow(HistoryRefused);
  });

  it('takes a clock that no calendar has for its last day', () => {
    const said = unpacked(RECORDS[3] as Bytes, 5) as readonly Packed[];
    const record = readRecord(packed(said.with(6, 2 ** 60))) as Said;
    expect(record.sentMs).toBe(8.64e15);
  });

  it('has everybody before what was said with them, once, and an end that counts right', async () => {
    const [about, bob, eve, said, ...rest] = RECORDS as [Bytes, Bytes, Bytes, Bytes, ...Bytes[]];
    const end = rest.at(-1) as Bytes;
    const note = readRecord(rest.at(-4) as Bytes) as Said;
    const close = (people: number, messages: number) =>
      encodeRecord({ is: 'end', people, messages });
    const wrong: Bytes[][] = [
      [],
      [about],
      [bob, end],
      [about, about, end],
      [about, said, bob, close(1, 1)],
      [about, bob, bob, close(2, 0)],
      [about, bob, said, close(1, 0)],
      [about, bob, eve, said, close(3, 1)],
      [about, close(0, 0), close(0, 0)],
      [about, encodeRecord({ ...note, ours: false }), close(0, 1)],
    ];
    for (const each of wrong)
      await expect(readHistory(await sealed(each), CODE)).rejects.toThrow(HistoryRefused);
    const right = await readHistory(await sealed([about, bob, said, close(1, 1)]), CODE);
    expect([right.owner, right.people.size, right.said.length]).toEqual([toHex(OWNER), 1, 1]);
  });
});

describe('a history of a terminal', () => {
  it('is taken whole, once, and nobody in it is verified or can be written to', async () => {
    const relay = new ModelRelay();
    const ada = await side(relay, 'ada');
    vi.spyOn(Date, 'now').mockReturnValue(MADE_MS);
    const clock = vi.spyOn(ada.chat as unknown as { now(): number }, 'now');
    clock.mockReturnValue(MADE_MS / 1000);
    const file = new Blob([FILE]);
    const taken = await ada.chat.takeHistory(file, KNOWN.spelt);
    expect(taken).toEqual({ ...NOTHING, people: 2, messages: 8, attachments: 2 });
    const bob = talk(ada, 'Bob ½');
    expect(bob?.contact).toMatchObject({
      card: null,
      boxes: [],
      policy: 'require',
      mode: 'pool',
      timerS: 3600,
      isVerified: false,
    });
    expect([bob?.isMet, bob?.unread]).toEqual([false, 1]);
    expect(bob?.messages.map((each) => [words(each), each.ours, each.state])).toEqual([
      ['good morning', true, 'read'],
      ['and to you 🜁', false, 'seen'],
      ['about it', false, 'answered'],
      ['plan.pdf', true, 'delivered'],
      ['raw.h5', false, 'seen'],
      ['for an hour', true, 'sent'],
    ]);
    expect(bob?.messages.map(({ brought }) => brought?.size)).toEqual([
      null,
      null,
      null,
      48_211,
      31_457_280,
      null,
    ]);
    const [first] = bob?.messages ?? [];
    expect(first?.protections).toMatchObject([
      { padSource: 'simulated', padBytes: 232 },
      { padSource: 'simulated', padBytes: 0 },
    ]);
    expect(bob?.records.get('09'.repeat(16))).toMatchObject({
      s: 2.72,
      began_at: 1_799_999_000.25,
    });
    expect(ada.chat.view().notes.messages.map(words)).toEqual(['note to self']);
    expect(ada.chat.view().strange.blocked.map(({ name }) => name)).toEqual(['Eve']);
    const onward = await ada.chat.giveHistory();
    const people = (await recordsOf(onward.file, onward.code)).map(readRecord);
    expect(people.flatMap((each) => (each.is === 'somebody' ? [each.isBlocked] : []))).toEqual(
      expect.arrayContaining([false, true]),
    );
    // The same file again changes nothing.
    const again = await ada.chat.takeHistory(file, KNOWN.spelt);
    expect(again).toEqual({ ...NOTHING, known: 8 });
    // Nothing of it is told to anybody.
    const peer = bob?.peer ?? '';
    await ada.chat.read(peer);
    expect(talk(ada, 'Bob ½')?.unread).toBe(0);
    const id = first?.content.id as Bytes;
    await expect(ada.chat.sayOf(peer, Kind.edit, id, 'other')).rejects.toThrow(ChatMisuse);
    await expect(ada.chat.say(peer, 'hello')).rejects.toThrow(ChatMisuse);
    await ada.chat.sayOf(peer, Kind.delete, id);
    expect(talk(ada, 'Bob ½')?.messages).toHaveLength(5);
    expect(await waiting(ada.vault)).toEqual([]);
    // What was taken back here stays so, and times go on counting.
    vi.mocked(Date.now).mockReturnValue(MADE_MS + 240_000);
    clock.mockReturnValue(MADE_MS / 1000 + 240);
    await ada.chat.notes.sweep();
    expect(ada.chat.view().notes.messages).toEqual([]);
    const third = await ada.chat.takeHistory(file, KNOWN.spelt);
    expect(third).toEqual({ ...NOTHING, known: 7, expired: 1 });
    expect(talk(ada, 'Bob ½')?.messages).toHaveLength(5);
    vi.restoreAllMocks();
  });

  it('is left out where it is with somebody who waits here to be accepted', async () => {
    const ada = await side(new ModelRelay(), 'ada');
    const { contact } = readRecord(RECORDS[3] as Bytes) as Said;
    const value = { name: 'Bob', card: null, timerS: 0, since: 1 };
    await ada.vault.commit([{ kind: 'stranger', key: toHex(contact), value, expected: 0 }]);
    const taken = await ada.chat.takeHistory(new Blob([FILE]), KNOWN.spelt);
    expect(taken).toMatchObject({ people: 1, leftOut: 6 });
    expect(talk(ada, 'Bob ½')).toBeUndefined();
  });

  it('is not taken at all where anything of it is wrong', async () => {
    const ada = await side(new ModelRelay(), 'ada');
    const before = await contacts(ada.vault);
    const wrong = FILE.slice();
    wrong[FILE.length - 1] = (wrong[FILE.length - 1] ?? 0) ^ 1;
    await expect(ada.chat.takeHistory(new Blob([wrong]), KNOWN.spelt)).rejects.toThrow(
      HistoryRefused,
    );
    await expect(ada.chat.takeHistory(new Blob([FILE]), 'A'.repeat(32))).rejects.toThrow(
      CodeMalformed,
    );
    const huge = { size: 64 * 2 ** 20 + 1 } as Blob;
    await expect(ada.chat.takeHistory(huge, KNOWN.spelt)).rejects.toThrow('64 MiB');
    expect(await contacts(ada.vault)).toEqual(before);
    expect(ada.chat.view().notes.messages).toEqual([]);
  });

  it('stands among what is here by when it was said, however clocks of others go', async () => {
    const ada = await side(new ModelRelay(), 'ada');
    const contact = OWNER;
    const at = Date.now() - 60_000;
    await ada.chat.notes.say('now');
    const said = (number: number, sentMs: number, text: string): Said => ({
      ...(readRecord(RECORDS.at(-4) as Bytes) as Said),
      contact,
      id: new Uint8Array(16).fill(number),
      sentMs,
      text,
      timerS: null,
      goneS: null,
    });
    const all: HistoryRecord[] = [
      { is: 'about', owner: contact, madeMs: at },
      said(9, at + 9_000_000, 'of a clock that is ahead'),
      said(8, at - 1000, 'the second'),
      said(1, at - 5000, 'the third'),
      { is: 'end', people: 0, messages: 3 },
    ];
    await ada.chat.takeHistory(await sealed(all.map(encodeRecord)), KNOWN.spelt);
    expect(ada.chat.view().notes.messages.map(words)).toEqual([
      'of a clock that is ahead',
      'the second',
      'the third',
      'now',
    ]);
  });
});

describe('a history of a browser', () => {
  it('comes to another browser with words, sessions and files’ names, and goes on there', async () => {
    const relay = new ModelRelay();
    const [alice, bob] = await two(relay, new ModelLink());
    await alice.chat.say(alice.peer, 'from alice');
    await until(() => expect(bob.lines()).toHaveLength(1));
    await bob.chat.say(bob.peer, 'from bob');
    await until(() => expect(alice.lines()).toHaveLength(2));
    await until(() => expect(alice.lines()[0]?.[2]).toBe('delivered'));
    await alice.chat.attach(alice.peer, 'small.txt', new Blob(['inside']));
    await alice.chat.say(alice.peer, 'taken back');
    await until(() => expect(alice.lines().at(-1)?.[2]).toBe('delivered'));
    const last = talk(alice, 'bob')?.messages.at(-1)?.content.id as Bytes;
    await alice.chat.sayOf(alice.peer, Kind.delete, last);
    await alice.chat.notes.say('mine alone');
    const group = await alice.chat.groups.new('both', [alice.peer]);
    await alice.chat.groups.say(group, 'in the group');
    await alice.chat.set(alice.peer, { isVerified: true, policy: 'require' });
    relay.turn(false);
    await alice.chat.say(alice.peer, 'not sent yet');
    const given: Given = await alice.chat.giveHistory();
    const { file, code, ...counts } = given;
    expect(counts).toEqual({ people: 1, messages: 4, attachments: 1, notSent: 1, unknown: 0 });
    relay.turn(true);
    const second = await side(relay, 'alice again');
    const taken = await second.chat.takeHistory(file, await spellCode(code));
    expect(taken).toEqual({ ...NOTHING, people: 1, messages: 4, attachments: 1 });
    const there = talk(second, 'bob');
    expect(there?.messages.map(words)).toEqual(['from alice', 'from bob', 'small.txt']);
    expect(there?.contact).toMatchObject({ policy: 'require', isVerified: false });
    expect([...(there?.records.values() ?? [])].map(({ s }) => s)).toEqual([2.72, 2.72, 2.72]);
    expect(second.chat.view().notes.messages.map(words)).toEqual(['mine alone']);
    expect(second.chat.view().groups).toEqual([]);
    // They begin anew, and words go on below the old ones.
    await second.chat.add(await bob.chat.invite());
    await second.chat.set(there?.peer ?? '', { policy: 'prefer' });
    await second.chat.say(there?.peer ?? '', 'on another device');
    await until(() => expect(bob.lines().map(([text]) => text)).toContain('on another device'));
    const now = talk(second, 'bob');
    expect(now?.isMet).toBe(true);
    expect(now?.messages.map(words).at(-1)).toBe('on another device');
    // What the first device said is not said again in a new session.
    await second.chat.renewSession(there?.peer ?? '');
    await until(() => expect(talk(second, 'bob')?.renewal).toBe('ours'));
    expect(bob.lines().filter(([text]) => text === 'from alice')).toHaveLength(1);
    // A later file of the second device has what it took, too.
    const onward = await second.chat.giveHistory();
    expect(onward.messages).toBe(5);
  });
});
