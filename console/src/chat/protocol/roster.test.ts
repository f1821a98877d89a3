// @vitest-environment node
/** Known answers of vectors/chat/group.json, and what members refuse. */

import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../shared/merkle';
import { type Bytes, join, zeros } from './bytes';
import { encodeHead, Kind, makeContent } from './content';
import { ContentMalformed, GroupRefused, GroupUnusable } from './errors';
import type { Identity } from './identity';
import {
  checkFirst,
  checkFollows,
  checkId,
  digestOf,
  drawId,
  encodeRoster,
  foundGroup,
  MAX_MEMBERS,
  nextRoster,
  numberOf,
  type Roster,
  readRoster,
  viewOf,
} from './roster';
import { hex, known } from './testing/known';
import { identityOf } from './testing/people';

interface Vector {
  script: Record<'alice' | 'bob' | 'carol' | 'group' | 'drawn', string>;
  values: Record<string, string>;
}

const { script, values } = known<Vector>('chat/group.json');
const value = (name: string): Bytes => hex(values[name] ?? '');
const WHO = ['alice', 'bob', 'carol'] as const;
const name = (who: (typeof WHO)[number]) => values[`fingerprint_${who}`] ?? '';
const people = () => Promise.all(WHO.map((who) => identityOf(hex(script[who]))));
const kept = () => Promise.all([0, 1, 2, 3].map((at) => readRoster(value(`roster_${at}`))));
const three = async () => (await people()) as [Identity, Identity, Identity];
const four = async () => (await kept()) as [Roster, Roster, Roster, Roster];

describe('the kept rosters', () => {
  it('are read, written, and follow each other', async () => {
    const rosters = await four();
    for (const [at, roster] of rosters.entries()) {
      expect(toHex(encodeRoster(roster))).toBe(values[`roster_${at}`]);
      expect(toHex(await digestOf(roster))).toBe(values[`hash_${at}`]);
      const former = rosters[at - 1];
      if (former) await checkFollows(former, roster);
      if (former) await expect(checkFollows(roster, former)).rejects.toThrow(GroupRefused);
    }
    await checkFirst(rosters[0], name('alice'), name('carol'));
    await expect(checkFirst(rosters[0], name('bob'), name('carol'))).rejects.toThrow(GroupRefused);
    await expect(checkFirst(rosters[1], name('alice'), name('carol'))).rejects.toThrow(
      GroupRefused,
    );
  });

  it('are those that their admins would write', async () => {
    const [alice, bob] = await three();
    const group = hex(script.group);
    const first = await foundGroup(alice, 'Nightshift ½', [name('bob'), name('carol')], group);
    const less = await nextRoster(alice, first, { name: 'Day shift', remove: [name('carol')] });
    const handed = await nextRoster(alice, less, { handTo: bob.public });
    const more = await nextRoster(bob, handed, { add: [name('carol')] });
    for (const [at, roster] of [first, less, handed, more].entries())
      expect(toHex(await digestOf(roster))).toBe(values[`hash_${at}`]);
  });

  it('have heads and ids of what each says', async () => {
    const roster = (await four())[3];
    const view = await viewOf(roster);
    expect(numberOf(view)).toBe(3);
    for (const [at, who] of WHO.entries()) {
      const id = await drawId(roster.group, name(who), hex(script.drawn));
      expect(toHex(id)).toBe(values[`id_${who}`]);
      const said = { id, sentMs: 1_800_000_000_000, group: fromHex(roster.group) };
      const words = makeContent({ ...said, kind: Kind.text, view });
      expect(toHex(encodeHead(words))).toBe(values[`words_${who}`]);
      const types = makeContent({ ...said, kind: Kind.typing });
      expect(toHex(encodeHead(types))).toBe(values[`types_${who}`]);
      const other = name(WHO[(at + 1) % 3] ?? 'alice');
      await expect(checkId(roster.group, other, id)).rejects.toThrow(GroupRefused);
    }
  });
});

describe('a roster', () => {
  it('is refused if anything of it was cut, added or changed', async () => {
    const [first, second, third] = await four();
    const whole = value('roster_1');
    for (const end of [0, 4, 60, 2045, whole.length - 1])
      await expect(readRoster(whole.slice(0, end))).rejects.toThrow(ContentMalformed);
    await expect(readRoster(join(whole, zeros(1)))).rejects.toThrow(ContentMalformed);
    for (const at of [0, 4, 2041]) {
      const other = whole.slice();
      other[at] = 0xff;
      await expect(readRoster(other)).rejects.toThrow(ContentMalformed);
    }
    for (const changed of [
      { ...second, name: 'other' },
      { ...second, members: first.members },
      { ...second, former: zeros(32) },
      { ...second, signature: third.signature },
    ])
      await expect(checkFollows(first, changed)).rejects.toThrow(GroupRefused);
    await expect(checkFollows(first, third)).rejects.toThrow(GroupRefused);
  });

  it('is signed by its admin alone, who cannot rewrite since when others are in it', async () => {
    const [alice, bob] = await three();
    const [first] = await four();
    const by = nextRoster(bob, first, { add: [] });
    await expect(by).rejects.toThrow(GroupUnusable);
    const [, second] = await four();
    const early = { ...second, members: second.members.map((each) => ({ ...each, since: 1 })) };
    const stale = await nextRoster(alice, early, {});
    const former = await digestOf(second);
    await expect(checkFollows(second, { ...stale, former })).rejects.toThrow(GroupRefused);
  });

  it('cannot be written without others, with too many, or with a name that steers', async () => {
    const [alice] = await three();
    const many = Array.from({ length: MAX_MEMBERS }, (_, at) => toHex(zeros(32).fill(at + 1)));
    for (const [called, others] of [
      ['lab', []],
      ['lab', many],
      ['', [name('bob')]],
      ['a\nb', [name('bob')]],
      ['x'.repeat(121), [name('bob')]],
    ] as const)
      await expect((async () => foundGroup(alice, called, others))()).rejects.toThrow(
        GroupUnusable,
      );
    const [first] = await four();
    for (const wrong of [
      { remove: [name('alice')] },
      { remove: [many[0] ?? ''] },
      { add: [name('bob')] },
    ])
      await expect(nextRoster(alice, first, wrong)).rejects.toThrow(GroupUnusable);
  });
});
