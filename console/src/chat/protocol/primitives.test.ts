// @vitest-environment node
/** Known answers of others: X-Wing's draft, and Wycheproof, for each source that is here. */

import { describe, expect, it } from 'vitest';
import { toHex } from '../../shared/merkle';
import { ascii, type Bytes, join, zeros } from './bytes';
import { ed25519Key, ed25519Public, ed25519Sign, ed25519Verify, x25519 } from './curve';
import { KemRefused, NotAuthentic } from './errors';
import { fallback } from './fallback';
import { CIPHERTEXT_BYTES, checkPublic, decapsulate, encapsulate, publicOf } from './kem';
import { native } from './native';
import { lock, unlock } from './pads';
import { hkdf, openSealed, seal } from './suite';
import { hex, known } from './testing/known';

interface Group {
  publicKey?: string | { pk: string };
  tests: (Record<string, string> & { result: string; flags: string[] })[];
}

const groups = (name: string) =>
  known<{ testGroups: Group[] }>(`wycheproof/${name}.json.gz`).testGroups;
const tests = (name: string) => groups(name).flatMap((group) => group.tests);

describe('X-Wing', () => {
  const answers = known<Record<'sk' | 'pk' | 'ct' | 'ss', string>[]>('xwing/test-vectors.json');

  it.each(answers)('has the public key and the secret of its draft', async ({ sk, pk, ct, ss }) => {
    expect(toHex(await publicOf(hex(sk)))).toBe(pk);
    expect(toHex(await decapsulate(hex(sk), hex(ct)))).toBe(ss);
  });

  it('gives both the same secret, and another each time', async () => {
    const seed = zeros(32).fill(7);
    const key = await publicOf(seed);
    const [one, other] = [await encapsulate(key), await encapsulate(key)];
    expect(await decapsulate(seed, one.ciphertext)).toEqual(one.secret);
    expect(one.secret).not.toEqual(other.secret);
  });

  it('refuses keys that are none, and halves of low order', async () => {
    const half = hex(answers[0]?.pk ?? '').slice(1184);
    const invalid = tests('mlkem_768_encaps_test').filter(({ result }) => result === 'invalid');
    expect(invalid.length).toBeGreaterThan(100);
    for (const { ek = '' } of invalid)
      expect(() => checkPublic(join(hex(ek), half))).toThrow(KemRefused);
    for (const { pk } of answers) checkPublic(hex(pk));
    const low = join(hex(answers[0]?.pk ?? '').slice(0, 1184), zeros(32));
    await expect(encapsulate(low)).rejects.toThrow(KemRefused);
    await expect(decapsulate(zeros(32), zeros(CIPHERTEXT_BYTES))).rejects.toThrow(KemRefused);
    await expect(decapsulate(zeros(32), zeros(1119))).rejects.toThrow(KemRefused);
  });
});

const there = await native.isThere();
const sources = [...(there ? [['browser', native] as const] : []), ['package', fallback] as const];

describe.each(sources)('ML-KEM-768 and ML-DSA-65 of the %s', (_, lattice) => {
  it('agrees with Wycheproof on keys and secrets', async () => {
    for (const { seed = '', ek = '' } of tests('mlkem_768_keygen_seed_test').slice(0, 25))
      expect(toHex(await lattice.kemPublic(hex(seed)))).toBe(ek);
    const valid = tests('mlkem_768_test').filter(({ result }) => result === 'valid');
    for (const { seed = '', c = '', K } of valid.slice(0, 30))
      expect(toHex(await lattice.decapsulate(hex(seed), hex(c)))).toBe(K);
  });

  it('agrees with Wycheproof on signatures', async () => {
    let [held, refused] = [0, 0];
    for (const { publicKey, tests: all } of groups('mldsa_65_verify_test')) {
      const key = hex(publicKey as string);
      if (key.length !== 1952) continue; // an identity of another length is not read at all
      for (const { sig = '', msg = '', ctx = '', result } of all) {
        if (ctx.length > 510) continue; // our labels are short
        const holds = await lattice.verify(key, hex(sig), hex(msg), hex(ctx));
        expect(holds).toBe(result === 'valid');
        if (holds) held += 1;
        else refused += 1;
      }
    }
    expect(held).toBeGreaterThan(50);
    expect(refused).toBeGreaterThan(50);
  });

  it.each(['ML-DSA-44', 'ML-DSA-65'] as const)(
    'signs by %s what the other verifies',
    async (kind) => {
      const seed = zeros(32).fill(3);
      const key = await lattice.signingKey(seed, kind);
      const publicKey = await lattice.signingPublic(seed, kind);
      const [text, context] = [ascii('words'), ascii('label')];
      const signature = await lattice.sign(key, text, context, kind);
      for (const [, other] of sources) {
        expect(await other.verify(publicKey, signature, text, context, kind)).toBe(true);
        expect(await other.verify(publicKey, signature, text, text, kind)).toBe(false);
        expect(await other.verify(publicKey, signature.slice(1), text, context, kind)).toBe(false);
      }
    },
  );
});

it('X25519 agrees with Wycheproof, and refuses what gives zeros', async () => {
  for (const { private: own = '', public: other = '', shared = '' } of tests('x25519_test')) {
    const agreed = x25519(hex(own), hex(other));
    if (/^0+$/.test(shared)) await expect(agreed).rejects.toThrow(KemRefused);
    else expect(toHex(await agreed)).toBe(shared);
  }
});

it('Ed25519 agrees with Wycheproof, and signs what it verifies', async () => {
  for (const { publicKey, tests: all } of groups('ed25519_test'))
    for (const { sig = '', msg = '', result } of all) {
      const key = hex((publicKey as { pk: string }).pk);
      expect(await ed25519Verify(key, hex(sig), hex(msg))).toBe(result === 'valid');
    }
  const seed = zeros(32).fill(9);
  const [key, publicKey] = [await ed25519Key(seed), await ed25519Public(seed)];
  const signature = await ed25519Sign(key, ascii('a'));
  expect(await ed25519Verify(publicKey, signature, ascii('a'))).toBe(true);
  expect(await ed25519Verify(publicKey, signature, ascii('b'))).toBe(false);
});

it('HKDF agrees with Wycheproof', async () => {
  const valid = tests('hkdf_sha256_test').filter(({ result }) => result === 'valid');
  for (const { salt = '', ikm = '', info = '', okm = '' } of valid)
    expect(toHex(await hkdf(hex(salt), hex(ikm), hex(info), okm.length / 2))).toBe(okm);
});

it('AES-256-GCM opens what was sealed, and nothing that was altered', async () => {
  const [key, nonce, ad] = [zeros(32).fill(1), zeros(12), ascii('about')];
  const sealed = await seal(key, nonce, ascii('text'), ad);
  expect(await openSealed(key, nonce, sealed, ad)).toEqual(ascii('text'));
  const altered: [Bytes, Bytes, Bytes, Bytes][] = [
    [zeros(32), nonce, sealed, ad],
    [key, zeros(12).fill(1), sealed, ad],
    [key, nonce, sealed.map((byte, at) => (at === 2 ? byte ^ 1 : byte)), ad],
    [key, nonce, sealed.slice(1), ad],
    [key, nonce, zeros(3), ad],
    [key, nonce, sealed, ascii('other')],
  ];
  for (const each of altered) await expect(openSealed(...each)).rejects.toThrow(NotAuthentic);
});

describe('a one-time pad', () => {
  // RFC 8439, 2.5.2: key r ‖ s, message and tag; here the message is all context.
  const r = hex('85d6be7857556d337f4452fe42d506a8');
  const s = hex('0103808afb0db2fd4abff6af4149f51b');
  const said = ascii('Cryptographic Forum Research Group');
  const slice = (key: Bytes) => ({
    padId: zeros(16).fill(1),
    offset: 16,
    point: r,
    key,
    source: 'local',
  });

  it('has the tag of the standard, and hides by XOR', () => {
    const tag = 'a8061dc1305136c6c22b8baf0c0127a9';
    expect(toHex(lock(slice(s), zeros(0), said))).toBe(tag);
    const locked = lock(slice(join(s, hex('ff0f'))), hex('0ff0'), said);
    expect(toHex(locked.slice(0, 2))).toBe('f0ff');
    expect(unlock(slice(join(s, hex('ff0f'))), locked, said)).toEqual(hex('0ff0'));
  });

  it('refuses another context, another pad, and a bit that was flipped', () => {
    const key = join(s, hex('ff0f'));
    const locked = lock(slice(key), hex('0ff0'), said);
    expect(() => unlock(slice(key), locked, ascii('other'))).toThrow(NotAuthentic);
    expect(() => unlock(slice(join(s, hex('ff0e'))), locked, said)).toThrow(NotAuthentic);
    for (let bit = 0; bit < 8 * locked.length; bit += 1) {
      const altered = locked.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      expect(() => unlock(slice(key), altered, said)).toThrow(NotAuthentic);
    }
  });
});
