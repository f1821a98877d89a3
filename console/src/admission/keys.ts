/**
 * A newcomer's keys, made in the browser, and the proofs by them that a challenge asks for.
 *
 * A private key is held as PKCS #8, the form in which its owner takes it away.
 *
 * Source: spec/admission.md; RFC 5958; RFC 8410, 7; RFC 9881 and RFC 9935 (seeds); RFC 3279, 2.2.3.
 */

import { fromBase64Url, toBase64 } from '../chat/protocol/base64';
import { type Bytes, equal, join } from '../chat/protocol/bytes';
import { ed25519Key, ed25519Public, ed25519Sign } from '../chat/protocol/curve';
import { lattice } from '../chat/protocol/lattice';
import { hmac } from '../chat/protocol/suite';
import { LABEL } from './possession';

/** What `bellwire register` makes, too. */
export const KINDS = ['ed25519', 'ml-dsa-44', 'ml-dsa-65', 'ml-kem-768', 'p-256'] as const;
export type Kind = (typeof KINDS)[number];

export interface OwnKey {
  /** Secret. */
  readonly pkcs8: Bytes;
  readonly publicKey: Bytes;
}
export type OwnKeys = Readonly<Record<Kind, OwnKey>>;

/** A file has no key of its kind. */
export class KeyUnusable extends Error {
  override name = 'KeyUnusable';
}

const EC = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNED = { name: 'ECDSA', hash: 'SHA-256' };

/** What stands before a seed in PKCS #8, and how long that is. */
const SEEDED = {
  ed25519: { before: [0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 34, 4, 32], seed: 32 },
  'ml-dsa-44': { before: nist(52, [3, 17], [4, 34, 0x80, 32]), seed: 32 },
  'ml-dsa-65': { before: nist(52, [3, 18], [4, 34, 0x80, 32]), seed: 32 },
  'ml-kem-768': { before: nist(84, [4, 2], [4, 66, 0x80, 64]), seed: 64 },
} as const;

/** Of an algorithm under 2.16.840.1.101.3.4. */
function nist(length: number, algorithm: readonly number[], seed: readonly number[]): number[] {
  const oid = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, ...algorithm];
  return [0x30, length, 2, 1, 0, 0x30, 11, 6, 9, ...oid, ...seed];
}

export async function makeKeys(): Promise<OwnKeys> {
  const made = {} as Record<Kind, OwnKey>;
  for (const kind of KINDS) {
    let pkcs8: Bytes;
    if (kind === 'p-256') {
      const pair = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
      pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
    } else {
      const { before, seed } = SEEDED[kind];
      const drawn = crypto.getRandomValues(new Uint8Array(seed));
      pkcs8 = join(Uint8Array.from(before), drawn);
    }
    made[kind] = await readKey(kind, pkcs8);
  }
  return made;
}

/**
 * A key out of PKCS #8.
 *
 * @throws KeyUnusable if there is none of this kind.
 */
export async function readKey(kind: Kind, pkcs8: Bytes): Promise<OwnKey> {
  if (kind === 'p-256') return { pkcs8, publicKey: await pointOf(pkcs8) };
  const seed = seedOf(kind, pkcs8);
  if (kind === 'ed25519') return { pkcs8, publicKey: await ed25519Public(seed) };
  const own = await lattice();
  if (kind === 'ml-kem-768') return { pkcs8, publicKey: await own.kemPublic(seed) };
  return { pkcs8, publicKey: await own.signingPublic(seed, signing(kind)) };
}

/** The proof for a key: over the transcript, and with what was encapsulated to it. */
export async function proofBy(
  kind: Kind,
  { pkcs8 }: OwnKey,
  text: Bytes,
  ciphertext: Bytes | undefined,
): Promise<Bytes> {
  if (kind === 'p-256') {
    const key = await crypto.subtle.importKey('pkcs8', pkcs8, EC, false, ['sign']);
    return der(new Uint8Array(await crypto.subtle.sign(SIGNED, key, text)));
  }
  const seed = seedOf(kind, pkcs8);
  if (kind === 'ed25519') return ed25519Sign(await ed25519Key(seed), text);
  const own = await lattice();
  if (kind === 'ml-kem-768') {
    if (ciphertext === undefined) throw new KeyUnusable('expected a ciphertext for our key');
    return hmac(await own.decapsulate(seed, ciphertext), text);
  }
  const key = await own.signingKey(seed, signing(kind));
  return own.sign(key, text, LABEL, signing(kind));
}

function signing(kind: 'ml-dsa-44' | 'ml-dsa-65') {
  return kind === 'ml-dsa-44' ? 'ML-DSA-44' : 'ML-DSA-65';
}

function seedOf(kind: keyof typeof SEEDED, pkcs8: Bytes): Bytes {
  const { before, seed } = SEEDED[kind];
  const begins = pkcs8.subarray(0, before.length);
  if (pkcs8.length !== before.length + seed || !equal(begins, Uint8Array.from(before)))
    throw new KeyUnusable(`expected a private key ${kind}, got something else`);
  return pkcs8.slice(before.length);
}

/** The public point, uncompressed. */
async function pointOf(pkcs8: Bytes): Promise<Bytes> {
  let found: JsonWebKey;
  try {
    const key = await crypto.subtle.importKey('pkcs8', pkcs8, EC, true, ['sign']);
    found = await crypto.subtle.exportKey('jwk', key);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new KeyUnusable('expected a private key p-256, got something else');
  }
  return join(Uint8Array.of(4), fromBase64Url(found.x ?? ''), fromBase64Url(found.y ?? ''));
}

/** Two numbers, one behind the other, as DER has them. */
function der(signature: Bytes): Bytes {
  const half = signature.length / 2;
  const numbers = [signature.subarray(0, half), signature.subarray(half)].map((each) => {
    let at = 0;
    while (at < half - 1 && each[at] === 0) at += 1;
    const digits = each.subarray(at);
    const sign = (digits[0] ?? 0) >= 0x80 ? [0] : [];
    return join(Uint8Array.of(2, digits.length + sign.length, ...sign), digits);
  });
  const whole = join(...numbers);
  return join(Uint8Array.of(0x30, whole.length), whole);
}

const BEGIN = '-----BEGIN PRIVATE KEY-----';
const END = '-----END PRIVATE KEY-----';

/** A private key as text. Source: RFC 7468, 10. */
export function toPem(pkcs8: Bytes): string {
  const lines = toBase64(pkcs8).match(/.{1,64}/g) ?? [];
  return [BEGIN, ...lines, END, ''].join('\n');
}

/** @throws KeyUnusable if it is no such text. */
export function fromPem(text: string): Bytes {
  const inside = text.trim().replaceAll(/\s/g, '');
  const [begin, end] = [BEGIN, END].map((each) => each.replaceAll(' ', '')) as [string, string];
  const letters = inside.slice(begin.length, -end.length);
  if (!inside.startsWith(begin) || !inside.endsWith(end) || !/^[A-Za-z0-9+/]+=*$/.test(letters))
    throw new KeyUnusable('expected a private key in PEM, got something else');
  try {
    return fromBase64Url(letters);
  } catch {
    throw new KeyUnusable('expected a private key in PEM, got something else');
  }
}
