// @vitest-environment node
/** Known answers of `vectors/`, keys as files, and a registration with a server that answers. */

import { describe, expect, it, vi } from 'vitest';
import { client } from '../api/client';
import { toBase64 } from '../chat/protocol/base64';
import { ascii, type Bytes, zeros } from '../chat/protocol/bytes';
import { ed25519Verify } from '../chat/protocol/curve';
import { fallback } from '../chat/protocol/fallback';
import { lattice } from '../chat/protocol/lattice';
import { hmac } from '../chat/protocol/suite';
import { hex, known } from '../chat/protocol/testing/known';
import { toHex } from '../shared/merkle';
import { pack, unpack } from './archive';
import { fromPem, KeyUnusable, KINDS, makeKeys, proofBy, readKey, toPem } from './keys';
import { transcript } from './possession';
import { canonical, OtherServer, register } from './register';

interface Known {
  server: string;
  name: string;
  nonce: string;
  keys: Record<string, string>;
  ciphertexts: Record<string, string>;
  transcript: string;
  secret: string;
  tag: string;
}

const bytes = (given: Record<string, string>) =>
  Object.fromEntries(Object.entries(given).map(([kind, each]) => [kind, hex(each)]));
const keys = await makeKeys();

it.each(known<Known[]>('admission/possession.json'))('has the known transcript', async (one) => {
  const [own, ciphertexts] = [bytes(one.keys), bytes(one.ciphertexts)];
  const text = await transcript(one.server, one.name, own, hex(one.nonce), ciphertexts);
  expect(toHex(text)).toBe(one.transcript);
  expect(toHex(await hmac(hex(one.secret), text))).toBe(one.tag);
});

describe('keys', () => {
  it('are as long as the server asks for', () => {
    const lengths = KINDS.map((kind) => keys[kind].publicKey.length);
    expect(lengths).toEqual([32, 1312, 1952, 1184, 65]);
  });

  it('sign what holds by the public half, and by no other', async () => {
    const text = ascii('t');
    const [one, point] = [keys.ed25519, keys['p-256']];
    const first = await proofBy('ed25519', one, text, undefined);
    expect(await ed25519Verify(one.publicKey, first, text)).toBe(true);
    expect(await ed25519Verify(one.publicKey, first, ascii('u'))).toBe(false);
    const signature = raw(await proofBy('p-256', point, text, undefined));
    const how = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const key = await crypto.subtle.importKey('raw', point.publicKey, how, false, ['verify']);
    expect(await crypto.subtle.verify(how, key, signature, text)).toBe(true);
    expect(await crypto.subtle.verify(how, key, signature, ascii('u'))).toBe(false);
  });

  it('come to the secret that was encapsulated to them', async () => {
    const { ciphertext, secret } = await (await lattice()).encapsulate(
      keys['ml-kem-768'].publicKey,
    );
    const proof = await proofBy('ml-kem-768', keys['ml-kem-768'], ascii('t'), ciphertext);
    expect(proof).toEqual(await hmac(secret, ascii('t')));
  });

  it('of the package are those of the browser, where it has its own', async () => {
    const seed = zeros(32).fill(3);
    const own = await (await lattice()).signingPublic(seed, 'ML-DSA-44');
    expect(await fallback.signingPublic(seed, 'ML-DSA-44')).toEqual(own);
  });

  it('are no others than their kind', async () => {
    const { pkcs8 } = keys['ml-dsa-44'];
    for (const kind of ['ml-dsa-65', 'ed25519', 'p-256', 'ml-kem-768'] as const)
      await expect(readKey(kind, pkcs8)).rejects.toThrow(KeyUnusable);
    await expect(readKey('ml-dsa-44', pkcs8.slice(1))).rejects.toThrow(KeyUnusable);
    for (const text of ['', 'PEM', toPem(pkcs8).replace('PRIVATE', 'PUBLIC')])
      expect(() => fromPem(text)).toThrow(KeyUnusable);
  });
});

describe('a file of keys', () => {
  it('has them back, whatever else is in it', async () => {
    const found = await unpack(pack({ name: 'alice', keys }, { 'client.crt': 'x'.repeat(513) }));
    expect(found).toEqual({ name: 'alice', keys });
  });

  it('that is none, is cut off, or has a key less is refused', async () => {
    const whole = pack({ name: 'alice', keys });
    for (const other of [zeros(0), zeros(4096), ascii('x'.repeat(2048)), whole.slice(0, 1600)])
      await expect(unpack(other)).rejects.toThrow(KeyUnusable);
  });
});

it('a name has one form', () => {
  expect([' @Alice ', 'a-1_b'].map(canonical)).toEqual(['alice', 'a-1_b']);
  expect(['al', '1abc', 'a b c', `a${'b'.repeat(32)}`, 'älice'].map(canonical)).toEqual(
    Array(5).fill(null),
  );
});

describe('a registration', () => {
  /** Answers as a server of admission does; what it was asked, by path. */
  function answering(server: string) {
    const asked: Record<string, Record<string, unknown>[]> = {};
    const answer = async (path: string, { body }: { body: Record<string, unknown> }) => {
      asked[path] = [...(asked[path] ?? []), body];
      const word = toBase64(zeros(16));
      const { ciphertext } = await (await lattice()).encapsulate(keys['ml-kem-768'].publicKey);
      const data = {
        '/api/register/challenge': {
          ...{ challenge: word, server, username: 'alice', nonce: toBase64(zeros(32)), word },
          ciphertexts: { 'ml-kem-768': toBase64(ciphertext) },
          ip_address: '192.0.2.7',
        },
        '/api/register/echo': { word },
        '/api/register': { username: 'alice', status: 'waiting' },
      }[path];
      return { data, response: new Response() };
    };
    vi.spyOn(client, 'POST').mockImplementation(answer as unknown as typeof client.POST);
    return asked;
  }

  it('times 24 echoes, proves each key, and sends no private one', async () => {
    const asked = answering('admission.test');
    expect((await register('admission.test', 'alice', keys, 'abc')).status).toBe('waiting');
    expect(asked['/api/register/echo']).toHaveLength(24);
    const [sent = {}] = asked['/api/register'] ?? [];
    expect(Object.keys(sent.proofs as object).sort()).toEqual([...KINDS]);
    expect([sent.token, (sent.quantum_state as { ip_address: string }).ip_address]).toEqual([
      'abc',
      '192.0.2.7',
    ]);
    const everything = JSON.stringify(asked);
    for (const kind of KINDS) {
      const { pkcs8 } = keys[kind];
      // That of P-256 has its public half behind it.
      const secret = kind === 'p-256' ? pkcs8.slice(36, 68) : pkcs8.slice(-32);
      for (const at of [0, 1, 2])
        expect(everything.includes(toBase64(secret.slice(at, at + 24)))).toBe(false);
    }
  });

  it('ends before anything is proven if another server asks', async () => {
    const asked = answering('evil.test');
    await expect(register('admission.test', 'alice', keys, null)).rejects.toThrow(OtherServer);
    expect(Object.keys(asked)).toEqual(['/api/register/challenge']);
  });
});

/** Two numbers of DER, as WebCrypto has them. */
function raw(signature: Bytes): Bytes {
  const found = zeros(64);
  let at = 2;
  for (const end of [32, 64]) {
    const length = signature[at + 1] ?? 0;
    const digits = signature.slice(at + 2, at + 2 + length).slice(-32);
    found.set(digits, end - digits.length);
    at += 2 + length;
  }
  return found;
}
