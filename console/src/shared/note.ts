/**
 * Signed checkpoints, checked in the browser.
 *
 * Source: C2SP signed-note ("Format", "Ed25519 signatures"), tlog-checkpoint, tlog-cosignature
 * ("Ed25519 signed message", "ML-DSA-44 signed message"), tlog-policy.
 */

import { lattice } from '../chat/protocol/lattice';
import { fromBase64, ProofRefused, same, sha256 } from './merkle';

const ED25519 = 1;
const COSIGNATURE_ED25519 = 4;
const ML_DSA_44 = 6;
const NAMES: Record<number, string> = {
  [ED25519]: 'Ed25519',
  [COSIGNATURE_ED25519]: 'Ed25519',
  [ML_DSA_44]: 'ML-DSA-44',
};
const BYTES: Record<number, number> = {
  [ED25519]: 32,
  [COSIGNATURE_ED25519]: 32,
  [ML_DSA_44]: 1312,
};

const NO_CONTEXT = new Uint8Array(0);

interface VerifierKey {
  name: string;
  kind: number;
  id: Uint8Array;
  bytes: Uint8Array<ArrayBuffer>;
}

export interface Checkpoint {
  origin: string;
  size: number;
  root: string;
}

/** A signature of one of the keys that were asked for; one that does not hold throws. */
export interface Signature {
  name: string;
  algorithm: string;
  /** Whether it was checked: this browser may have no such algorithm. */
  held: boolean;
}

/** @throws ProofRefused if it is no note. */
function split(note: string): { text: string; lines: string[] } {
  const at = note.lastIndexOf('\n\n');
  if (at < 0) throw new ProofRefused('the checkpoint is no signed note');
  return {
    text: note.slice(0, at + 1),
    lines: note
      .slice(at + 2)
      .split('\n')
      .filter((line) => line !== ''),
  };
}

/**
 * Origin, size and root that a note speaks of.
 *
 * @throws ProofRefused if it is no checkpoint.
 */
export function readCheckpoint(note: string): Checkpoint {
  const [origin, size, root] = split(note).text.split('\n');
  if (!origin || !size || !root || !/^(0|[1-9]\d{0,15})$/.test(size))
    throw new ProofRefused('the note is no checkpoint');
  return { origin, size: Number(size), root };
}

async function readKey(vkey: string): Promise<VerifierKey> {
  const [name, id, ...rest] = vkey.split('+');
  const encoded = fromBase64(rest.join('+'));
  const [kind] = encoded;
  if (!name || !id || kind === undefined || BYTES[kind] !== encoded.length - 1)
    throw new ProofRefused('a key of the policy is none');
  const named = await sha256(new TextEncoder().encode(`${name}\n`), encoded);
  const told = Uint8Array.from(id.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  if (!same(told, named.slice(0, 4))) throw new ProofRefused('a key of the policy has another id');
  return { name, kind, id: told, bytes: encoded.slice(1) };
}

const short = (text: string) => {
  const encoded = new TextEncoder().encode(text);
  return [encoded.length, ...encoded];
};

function big(value: number): number[] {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return [...bytes];
}

/** What a key of this kind signs, at a time of 8 bytes. */
function message(
  key: VerifierKey,
  text: string,
  time: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  if (key.kind === ED25519) return new TextEncoder().encode(text);
  if (key.kind === COSIGNATURE_ED25519) {
    const at = new DataView(time.buffer).getBigUint64(0);
    return new TextEncoder().encode(`cosignature/v1\ntime ${at}\n${text}`);
  }
  const { origin, size, root } = readCheckpoint(`${text}\n`);
  return Uint8Array.from([
    ...new TextEncoder().encode('subtree/v1\n\0'),
    ...short(key.name),
    ...time,
    ...short(origin),
    ...big(0),
    ...big(size),
    ...fromBase64(root),
  ]);
}

/** Whether it holds; null if this browser does not know the algorithm. */
async function holds(
  key: VerifierKey,
  text: string,
  stamped: Uint8Array<ArrayBuffer>,
): Promise<boolean | null> {
  const at = key.kind === ED25519 ? 0 : 8;
  if (stamped.length < at) return false;
  const signed = message(key, text, stamped.slice(0, at));
  const signature = stamped.slice(at);
  if (key.kind === ML_DSA_44)
    return (await lattice()).verify(key.bytes, signature, signed, NO_CONTEXT, 'ML-DSA-44');
  let imported: CryptoKey;
  try {
    imported = await crypto.subtle.importKey('raw', key.bytes, 'Ed25519', false, ['verify']);
  } catch {
    return null;
  }
  return crypto.subtle.verify('Ed25519', imported, signature, signed);
}

/**
 * The signatures that some keys made on a note; those of other keys are passed over.
 *
 * @param note As the log gave it.
 * @param keys One a text, as NAME+ID+BASE64.
 * @throws ProofRefused if one does not hold, or a key is none.
 */
export async function verifySignatures(
  note: string,
  keys: readonly string[],
): Promise<readonly Signature[]> {
  const { text, lines } = split(note);
  const found: Signature[] = [];
  for (const key of await Promise.all(keys.map(readKey))) {
    for (const line of lines) {
      const [, name, encoded] = /^— (\S+) (\S+)$/.exec(line) ?? [];
      if (name !== key.name || encoded === undefined) continue;
      const bytes = fromBase64(encoded);
      if (!same(bytes.slice(0, 4), key.id)) continue;
      const good = await holds(key, text, bytes.slice(4));
      if (good === false) throw new ProofRefused(`the signature of ${name} does not hold`);
      found.push({ name, algorithm: NAMES[key.kind] ?? `${key.kind}`, held: good === true });
      break;
    }
  }
  return found;
}

/** Whom a site trusts: keys of logs and of witnesses, and who of them must have signed. */
export interface Policy {
  logs: readonly string[];
  /** Key by name in the policy. */
  witnesses: ReadonlyMap<string, string>;
  /** Whether these witnesses are enough. */
  enough: (cosigned: readonly string[]) => boolean;
}

/** @throws ProofRefused if it does not say who must have signed. */
export function readPolicy(text: string): Policy {
  const lines = text.split('\n').map((line) => line.trim().split(/[ \t]+/));
  const of = (kind: string) =>
    lines.filter(([first]) => first === kind).map((line) => line.slice(1));
  const [quorum] = of('quorum').flat();
  if (quorum === undefined) throw new ProofRefused('the policy names no quorum');
  return {
    logs: of('log').flatMap(([key]) => key ?? []),
    witnesses: new Map(of('witness').map(([name = '', key = '']) => [name, key] as const)),
    enough: (cosigned) => {
      const met = new Set(['none', ...cosigned]);
      for (const [name = '', least = '', ...members] of of('group')) {
        const needed = least === 'any' ? 1 : least === 'all' ? members.length : Number(least);
        if (needed >= 1 && members.filter((each) => met.has(each)).length >= needed) met.add(name);
      }
      return met.has(quorum);
    },
  };
}

export interface Trusted {
  log: readonly Signature[];
  /** By their names in the policy. */
  witnesses: readonly Signature[];
}

/**
 * That a log of the policy signed a note, and that as many witnesses cosigned it as it asks for.
 *
 * @throws ProofRefused otherwise.
 */
export async function verifyNote(note: string, policy: Policy): Promise<Trusted> {
  const { origin } = readCheckpoint(note);
  const log = (await verifySignatures(note, policy.logs)).filter(({ name }) => name === origin);
  if (log.length === 0) throw new ProofRefused('no log that this site trusts has signed it');
  const witnesses: Signature[] = [];
  for (const [name, key] of policy.witnesses)
    for (const each of await verifySignatures(note, [key])) witnesses.push({ ...each, name });
  if (!policy.enough(witnesses.map(({ name }) => name)))
    throw new ProofRefused('too few of the witnesses that this site asks for have cosigned it');
  return { log, witnesses };
}
