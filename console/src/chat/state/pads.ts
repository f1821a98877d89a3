/**
 * The pads of one conversation, from the vault: what is spent is gone before a message leaves.
 *
 * `Staged` works on what was read; nothing counts until its changes are committed, together with the
 * session that used them. A pad's bytes are kept in pieces, those that have not served, and what
 * served is in none of them.
 */

import { toHex } from '../../shared/merkle';
import type { Bytes } from '../protocol/bytes';
import { ChatMisuse, PadMissing, PadSpent } from '../protocol/errors';
import { MAX_PAD_BYTES, type Pads, POINT_BYTES, type Slice } from '../protocol/pads';
import type { Change, Found } from './vault';

export const PAD = 'pad';

/** Bytes that have not served, from an offset on. */
interface Piece {
  readonly offset: number;
  readonly bytes: Bytes;
}

export interface PadRecord {
  /** Fingerprint of whom it is shared with, in hexadecimal. */
  readonly peer: string;
  /** Whether we send under it; the other way, the peer does. */
  readonly ours: boolean;
  /** In which order pads serve. */
  readonly order: number;
  readonly id: Bytes;
  readonly point: Bytes;
  readonly source: string;
  /** Whether the peer has shown to have it. */
  readonly shown: boolean;
  readonly pieces: readonly Piece[];
}

/** A pad of key that both sides have; its first bytes are the point. */
export function padRecord(
  about: Pick<PadRecord, 'peer' | 'ours' | 'order' | 'id' | 'source'>,
  key: Bytes,
): PadRecord {
  if (key.length <= POINT_BYTES || key.length > MAX_PAD_BYTES)
    throw new ChatMisuse(`expected more than ${POINT_BYTES} bytes for a pad, got ${key.length}`);
  const rest = { offset: POINT_BYTES, bytes: key.slice(POINT_BYTES) };
  return { ...about, point: key.slice(0, POINT_BYTES), shown: false, pieces: [rest] };
}

/** How many bytes are left. */
export function padLeft(record: PadRecord): number {
  return record.pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

const sliceOf = ({ id, point, source }: PadRecord, offset: number, key: Bytes): Slice => ({
  padId: id,
  offset,
  point,
  key,
  source,
});

/** The pieces that remain once some bytes have served. */
function without(pieces: readonly Piece[], from: number, to: number): Piece[] {
  return pieces.flatMap(({ offset, bytes }) => {
    const before = bytes.slice(0, Math.max(0, from - offset));
    const after = bytes.slice(Math.max(0, to - offset));
    if (to <= offset || from >= offset + bytes.length) return [{ offset, bytes }];
    return [
      { offset, bytes: before },
      { offset: to, bytes: after },
    ].filter((piece) => piece.bytes.length > 0);
  });
}

export class Staged implements Pads {
  private readonly records: Map<string, Found<PadRecord>>;
  private readonly changed = new Set<string>();

  /** @param found All pads with one peer. */
  constructor(found: readonly Found<PadRecord>[]) {
    const ordered = found.toSorted((one, other) => one.value.order - other.value.order);
    this.records = new Map(ordered.map((each) => [each.key, each]));
  }

  async spend(length: number, forMixing: boolean): Promise<Slice | null> {
    for (const { key, value } of this.records.values()) {
      const [piece] = value.pieces;
      if (!value.ours || (forMixing && !value.shown) || !piece || piece.bytes.length < length)
        continue;
      const slice = sliceOf(value, piece.offset, piece.bytes.slice(0, length));
      this.put(key, { pieces: without(value.pieces, piece.offset, piece.offset + length) });
      return slice;
    }
    return null;
  }

  async look(padId: Bytes, offset: number, length: number): Promise<Slice> {
    const found = this.records.get(toHex(padId));
    if (!found || found.value.ours) throw new PadMissing(padId);
    const piece = found.value.pieces.find(
      (each) => each.offset <= offset && offset + length <= each.offset + each.bytes.length,
    );
    if (!piece) throw new PadSpent('expected bytes of this pad that have not served, got others');
    const at = offset - piece.offset;
    return sliceOf(found.value, offset, piece.bytes.slice(at, at + length));
  }

  /** What an opened message was under never serves again. */
  erase(spent: readonly Slice[]): void {
    for (const { padId, offset, key } of spent) {
      const pieces = this.records.get(toHex(padId))?.value.pieces ?? [];
      this.put(toHex(padId), { pieces: without(pieces, offset, offset + key.length) });
    }
  }

  /** The peer has opened a message under this pad of ours. */
  show(padId: Bytes): void {
    const found = this.records.get(toHex(padId));
    if (found?.value.ours && !found.value.shown) this.put(found.key, { shown: true });
  }

  /** What is to be committed; a pad of which nothing is left goes. */
  changes(): Change[] {
    return [...this.records.values()]
      .filter(({ key }) => this.changed.has(key))
      .map(({ key, value, version }) => ({
        kind: PAD,
        key,
        value: padLeft(value) ? value : null,
        expected: version,
      }));
  }

  private put(key: string, change: Partial<PadRecord>): void {
    const found = this.records.get(key);
    if (!found) return;
    this.records.set(key, { ...found, value: { ...found.value, ...change } });
    this.changed.add(key);
  }
}
