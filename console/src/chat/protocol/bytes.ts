/** Bytes put together and taken apart; numbers are big-endian, as spec/chat.md has them. */

export type Bytes = Uint8Array<ArrayBuffer>;

/** Nothing may be read behind the end of what came. */
export class Short extends Error {
  override name = 'Short';
}

export function zeros(length: number): Bytes {
  return new Uint8Array(length);
}

export function ascii(text: string): Bytes {
  return new TextEncoder().encode(text);
}

export function join(...parts: readonly Uint8Array[]): Bytes {
  const whole = zeros(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A number in as many bytes; it must be whole, not negative, and fit. */
export function big(value: number, length: 1 | 2 | 4 | 8): Bytes {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * length))
    throw new RangeError(`expected a number that fits ${length} bytes, got ${value}`);
  const bytes = zeros(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes.slice(8 - length);
}

/** Whether both are the same; how long it takes does not tell where they differ. */
export function equal(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  let different = 0;
  for (let at = 0; at < one.length; at += 1) different |= (one[at] ?? 0) ^ (other[at] ?? 0);
  return different === 0;
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** Which of two comes first, byte by byte. */
export function compare(one: Uint8Array, other: Uint8Array): number {
  for (let at = 0; at < Math.min(one.length, other.length); at += 1) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}

/** Reads from the front; every `take` is a copy. */
export class Reader {
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** @throws Short if there are fewer. */
  take(length: number): Bytes {
    if (length > this.left) throw new Short(`expected ${length} bytes more, got ${this.left}`);
    this.at += length;
    return new Uint8Array(this.bytes.subarray(this.at - length, this.at));
  }

  /**
   * A number of 1, 2, 4 or 8 bytes; one over 2^53 is not exact, and `Number.isSafeInteger` tells.
   *
   * @throws Short if there are fewer.
   */
  number(length: 1 | 2 | 4 | 8): number {
    return this.take(length).reduce((sum, byte) => sum * 256 + byte, 0);
  }

  rest(): Bytes {
    return this.take(this.left);
  }
}
