/**
 * The log's tree, checked in the browser: inclusion and consistency, step by step.
 *
 * Source: RFC 6962, 2.1; RFC 9162, 2.1.3.2 (verifying inclusion) and 2.1.4.2 (consistency).
 * Verification throws; a path that is returned was computed here, with SHA-256 of WebCrypto.
 */

export type Hash = Uint8Array<ArrayBuffer>;

/** A proof does not lead to the root that was signed, or cannot be one. */
export class ProofRefused extends Error {
  override name = 'ProofRefused';

  constructor(
    message: string,
    /** What was computed until then: the way that a picture shows. */
    readonly steps: readonly Step[] = [],
  ) {
    super(message);
  }
}

/** One hashing on the way from a leaf to the root. */
export interface Step {
  /** On which side of what we have the neighbour stands. */
  readonly side: 'left' | 'right';
  readonly neighbour: Hash;
  readonly result: Hash;
}

export async function sha256(...parts: readonly Uint8Array[]): Promise<Hash> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** SHA-256(00 ‖ entry). */
export function leafHash(entry: Uint8Array): Promise<Hash> {
  return sha256(LEAF, entry);
}

function nodeHash(left: Uint8Array, right: Uint8Array): Promise<Hash> {
  return sha256(NODE, left, right);
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Undo `toHex`, for what has its form. */
export function fromHex(text: string): Hash {
  return Uint8Array.from(text.match(/../g) ?? [], (two) => Number.parseInt(two, 16));
}

/**
 * 32 bytes of their base64.
 *
 * @throws ProofRefused for anything else.
 */
export function toHash(base64: string): Hash {
  const bytes = fromBase64(base64);
  if (bytes.length !== 32) throw new ProofRefused('expected hashes of 32 bytes');
  return bytes;
}

/** @throws ProofRefused if it is no base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new ProofRefused('expected base64');
  }
}

export function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

function checkNumbers(...numbers: readonly number[]): void {
  if (!numbers.every((each) => Number.isSafeInteger(each) && each >= 0))
    throw new ProofRefused('expected whole numbers');
}

/** Halved without the 32 bits of JavaScript's shifts. */
const half = (number: number) => Math.floor(number / 2);
const isOdd = (number: number) => number % 2 === 1;

/**
 * The way of an entry to the root of a tree.
 *
 * @param leaf Hash of the entry, from `leafHash`.
 * @param index Number of the entry, from 0.
 * @param size Entries in the tree.
 * @param proof Neighbours, from the bottom.
 * @param root As it was signed.
 * @throws ProofRefused if the way leads elsewhere.
 */
export async function verifyInclusion(
  leaf: Hash,
  index: number,
  size: number,
  proof: readonly Hash[],
  root: Hash,
): Promise<readonly Step[]> {
  checkNumbers(index, size);
  if (index >= size) throw new ProofRefused(`entry ${index} is not in a tree of ${size}`);
  const steps: Step[] = [];
  let [at, last, hash] = [index, size - 1, leaf];
  for (const neighbour of proof) {
    if (last === 0) throw new ProofRefused('the proof goes on above the root', steps);
    const side = isOdd(at) || at === last ? 'left' : 'right';
    if (side === 'left') {
      hash = await nodeHash(neighbour, hash);
      while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)];
    } else {
      hash = await nodeHash(hash, neighbour);
    }
    steps.push({ side, neighbour, result: hash });
    [at, last] = [half(at), half(last)];
  }
  if (last !== 0) throw new ProofRefused('the proof ends below the root', steps);
  if (!same(hash, root)) throw new ProofRefused('the way leads to another root', steps);
  return steps;
}

/**
 * That a tree only grew: everything that the older one said, the newer one says as well.
 *
 * @throws ProofRefused if that does not follow from the proof.
 */
export async function verifyConsistency(
  oldSize: number,
  newSize: number,
  proof: readonly Hash[],
  oldRoot: Hash,
  newRoot: Hash,
): Promise<readonly Step[]> {
  checkNumbers(oldSize, newSize);
  if (oldSize > newSize) throw new ProofRefused('the log has become shorter');
  if (oldSize === 0 || oldSize === newSize) {
    if (proof.length > 0) throw new ProofRefused('expected no hashes');
    if (oldSize === newSize && !same(oldRoot, newRoot))
      throw new ProofRefused('two roots of one size');
    return [];
  }
  // A tree of a power of two is a node of the newer one: its root stands for itself.
  const isPower = Number.isInteger(Math.log2(oldSize));
  const path = isPower ? [oldRoot, ...proof] : proof;
  const [first, ...rest] = path;
  if (first === undefined) throw new ProofRefused('the proof is empty');
  let [at, last] = [oldSize - 1, newSize - 1];
  while (isOdd(at)) [at, last] = [half(at), half(last)];
  let [older, newer] = [first, first];
  const steps: Step[] = [];
  for (const neighbour of rest) {
    if (last === 0) throw new ProofRefused('the proof goes on above the root', steps);
    const side = isOdd(at) || at === last ? 'left' : 'right';
    if (side === 'left') {
      older = await nodeHash(neighbour, older);
      newer = await nodeHash(neighbour, newer);
      while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)];
    } else {
      newer = await nodeHash(newer, neighbour);
    }
    steps.push({ side, neighbour, result: newer });
    [at, last] = [half(at), half(last)];
  }
  if (last !== 0) throw new ProofRefused('the proof ends below the root', steps);
  if (!same(older, oldRoot)) throw new ProofRefused('it does not contain the older tree', steps);
  if (!same(newer, newRoot)) throw new ProofRefused('the way leads to another root', steps);
  return steps;
}
