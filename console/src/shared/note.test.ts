import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ProofRefused } from './merkle';
import { readCheckpoint, readPolicy, verifyNote, verifySignatures } from './note';

interface Notes {
  text: string;
  keys: Record<'PeterNeumann' | 'EnochRoot', string>;
  signatures: Record<'PeterNeumann' | 'EnochRoot', string>;
  bad_keys: string[];
}

const known = (name: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../../../vectors', name), 'utf8'));
const { text, keys, signatures, bad_keys } = known('tlog/notes.json') as Notes;
const { checkpoint, vkey } = known('tlog/mldsa44-checkpoint.json') as Record<string, string>;
const witnessed = known('ledger/witnessed.json') as { checkpoint: string; policy: string };

describe('a note', () => {
  it('holds with the keys that signed it, as published', async () => {
    const note = `${text}\n${signatures.PeterNeumann}${signatures.EnochRoot}`;
    const signed = await verifySignatures(note, [keys.PeterNeumann, keys.EnochRoot]);
    expect(signed.map(({ algorithm, held }) => [algorithm, held])).toEqual([
      ['Ed25519', true],
      ['Ed25519', true],
    ]);
  });

  it('is refused with another text, another signature, or one that is none', async () => {
    const { PeterNeumann: key } = keys;
    const swapped = signatures.PeterNeumann.replace('ZJku', 'ZJkv');
    for (const note of [
      `${text.replace('problem', 'trouble')}\n${signatures.PeterNeumann}`,
      `${text}\n${swapped}`,
      text,
    ])
      await expect(verifySignatures(note, [key])).rejects.toThrow(ProofRefused);
    expect(await verifySignatures(`${text}\n${signatures.EnochRoot}`, [key])).toEqual([]);
  });

  it.each(bad_keys)('is not checked with the bad key %s', async (key) => {
    const note = `${text}\n${signatures.PeterNeumann}`;
    await expect(verifySignatures(note, [key])).rejects.toThrow(ProofRefused);
  });
});

describe('a checkpoint', () => {
  it('says origin, size and root', () => {
    expect(readCheckpoint(checkpoint ?? '')).toEqual({
      origin: 'example.com/mldsa-log',
      size: 1,
      root: '+zoErtsZtGO6sfiSV/v4UJSIyowisE8hvjw0q5+bD38=',
    });
  });

  const policy = (...lines: string[]) => readPolicy([`log ${vkey}`, ...lines, ''].join('\n'));

  it('of ML-DSA-44 holds, whether or not the engine has it', async () => {
    const { log, witnesses } = await verifyNote(checkpoint ?? '', policy('quorum none'));
    expect(log.map(({ algorithm, held }) => [algorithm, held])).toEqual([['ML-DSA-44', true]]);
    expect(witnesses).toEqual([]);
  });

  it('of ML-DSA-44 is refused with another root', async () => {
    const { root } = readCheckpoint(checkpoint ?? '');
    const other = (checkpoint ?? '').replace(root, root.replace('+zo', '+zp'));
    await expect(verifyNote(other, policy('quorum none'))).rejects.toThrow('does not hold');
  });

  it('is refused without the witnesses that the policy asks for, or a log that it names', async () => {
    const asked = policy(`witness w ${keys.EnochRoot}`, 'group g any w', 'quorum g');
    await expect(verifyNote(checkpoint ?? '', asked)).rejects.toThrow('too few');
    const other = readPolicy(`log ${keys.EnochRoot}\nquorum none\n`);
    await expect(verifyNote(checkpoint ?? '', other)).rejects.toThrow('no log');
  });

  it.each(['', 'a\n', 'a\n01\nx\n\n', 'a\n-1\nx\n\n'])('is not %j', (bad) => {
    expect(() => readCheckpoint(bad)).toThrow(ProofRefused);
  });
});

describe('a checkpoint that witnesses cosigned', () => {
  const policy = readPolicy(witnessed.policy);

  it('holds, each witness by its own kind of key', async () => {
    const { witnesses } = await verifyNote(witnessed.checkpoint, policy);
    expect(witnesses).toMatchObject([
      { name: 'one', algorithm: 'Ed25519', held: true },
      { name: 'two', algorithm: 'ML-DSA-44', held: true },
    ]);
  });

  it('is refused with another time', async () => {
    const [line, encoded = ''] = /^— witness\S*1 (\S+)$/m.exec(witnessed.checkpoint) ?? [];
    const bytes = Buffer.from(encoded, 'base64');
    bytes[11] = (bytes[11] ?? 0) ^ 1; // the last of the time, which follows four of the key's id
    const other = (line ?? '').replace(encoded, bytes.toString('base64'));
    const changed = witnessed.checkpoint.replace(line ?? '', other);
    expect(changed).not.toBe(witnessed.checkpoint);
    await expect(verifyNote(changed, policy)).rejects.toThrow('does not hold');
  });
});

describe('a policy', () => {
  const groups = 'witness a a+1+x\nwitness b b+2+y\nwitness c c+3+z https://c\n';

  it.each([
    ['quorum none', [], true],
    ['quorum a', ['b'], false],
    ['quorum a', ['a'], true],
    ['group g any a b\nquorum g', ['b'], true],
    ['group g all a b\nquorum g', ['b'], false],
    ['group g 2 a b c\nquorum g', ['a', 'c'], true],
    ['group g 2 a b\ngroup h all g c\nquorum h', ['a', 'b'], false],
    ['group g 2 a b\ngroup h all g c\nquorum h', ['a', 'b', 'c'], true],
    ['group g x a\nquorum g', ['a'], false],
  ])('%j with %j: %s', (lines, cosigned, enough) => {
    const found = readPolicy(`# who\nlog l+0+w\n${groups}${lines}\n`);
    expect([found.logs, [...found.witnesses.keys()]]).toEqual([['l+0+w'], ['a', 'b', 'c']]);
    expect(found.enough(cosigned)).toBe(enough);
  });

  it('names a quorum', () => {
    expect(() => readPolicy('log a+1+x\n')).toThrow(ProofRefused);
  });
});
