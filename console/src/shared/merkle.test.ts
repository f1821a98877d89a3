import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type Hash,
  leafHash,
  ProofRefused,
  toHash,
  toHex,
  verifyConsistency,
  verifyInclusion,
} from './merkle';

interface Known {
  leaves: string[];
  roots: string[];
  inclusion: { index: number; size: number; proof: string[] }[];
  consistency: { old: number; new: number; proof: string[] }[];
}

interface Entries {
  entries: Record<string, { entry: string; leaf_hash: string }>;
}

function vectors<T>(path: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../../../vectors', path), 'utf8')) as T;
}

const known = vectors<Known>('tlog/merkle.json');
const entries = Object.entries(vectors<Entries>('ledger/entries.json').entries);
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
const fromHex = (hex: string): Hash => bytes(hex);
const hashes = (proof: readonly string[]) => proof.map(fromHex);
const root = (size: number) => fromHex(known.roots[size - 1] ?? '');
const leaf = (index: number) => leafHash(bytes(known.leaves[index] ?? ''));

function spoiled(proof: readonly Hash[], at: number): Hash[] {
  return proof.map((hash, i) =>
    i === at ? hash.map((byte, j) => byte ^ (j === 7 ? 1 : 0)) : hash,
  );
}

async function allRefused(asked: readonly Promise<unknown>[]): Promise<void> {
  const ends = await Promise.allSettled(asked);
  expect(ends.map((end) => end.status === 'rejected' && end.reason)).toEqual(
    asked.map(() => expect.any(ProofRefused)),
  );
}

describe('entries', () => {
  it.each(entries)('%s has the leaf that Python gives it', async (_, { entry, leaf_hash }) => {
    expect(toHex(await leafHash(new TextEncoder().encode(entry)))).toBe(leaf_hash);
  });
});

describe('inclusion', () => {
  it.each(known.inclusion)('of $index in $size is as published', async ({ index, size, proof }) => {
    const steps = await verifyInclusion(await leaf(index), index, size, hashes(proof), root(size));
    expect(steps).toHaveLength(proof.length);
    expect(toHex(steps.at(-1)?.result ?? (await leaf(index)))).toBe(known.roots[size - 1]);
  });

  it.each(known.inclusion)(
    'of $index in $size is refused with anything else',
    async ({ index, size, proof }) => {
      const good = hashes(proof);
      const [at, whole] = [await leaf(index), root(size)];
      const wrong: Promise<unknown>[] = [
        verifyInclusion(await leaf((index + 1) % 8), index, size, good, whole),
        verifyInclusion(at, index, size, [...good, whole], whole),
        verifyInclusion(at, index, size, good, root((size % 8) + 1)),
        verifyInclusion(at, size, size, good, whole),
        ...good.map((_, i) => verifyInclusion(at, index, size, spoiled(good, i), whole)),
      ];
      if (good.length > 0) wrong.push(verifyInclusion(at, index, size, good.slice(1), whole));
      await allRefused(wrong);
    },
  );

  it('shows how far a refused way went', async () => {
    const { index, size, proof } = known.inclusion[1] ?? { index: 0, size: 8, proof: [] };
    const asked = verifyInclusion(await leaf(5), index, size, hashes(proof), root(size));
    await expect(asked).rejects.toMatchObject({ steps: { length: proof.length } });
  });
});

describe('consistency', () => {
  it.each(known.consistency)('of $old with $new is as published', async (each) => {
    const steps = verifyConsistency(
      each.old,
      each.new,
      hashes(each.proof),
      root(each.old),
      root(each.new),
    );
    await expect(steps).resolves.toBeDefined();
  });

  it.each(known.consistency)('of $old with $new is refused with anything else', async (each) => {
    const good = hashes(each.proof);
    const [before, after] = [root(each.old), root(each.new)];
    const wrong: Promise<unknown>[] = [
      verifyConsistency(each.old, each.new, [...good, after], before, after),
      verifyConsistency(each.old, each.new, good, root((each.old % 8) + 1), after),
      verifyConsistency(each.new + 1, each.new, good, before, after),
      ...good.map((_, i) => verifyConsistency(each.old, each.new, spoiled(good, i), before, after)),
    ];
    if (good.length > 0)
      wrong.push(verifyConsistency(each.old, each.new, good.slice(1), before, after));
    await allRefused(wrong);
  });
});

it('a hash is the base64 of 32 bytes', () => {
  expect(toHex(toHash(btoa('\0'.repeat(32))))).toBe('0'.repeat(64));
  for (const bad of ['', 'ab', '*'.repeat(44), btoa('x'.repeat(31)), btoa('x'.repeat(33))])
    expect(() => toHash(bad)).toThrow(ProofRefused);
});
