import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { body, client, type Schemas } from '../../api/client';
import { keys } from '../../api/live';
import {
  fromBase64,
  type Hash,
  leafHash,
  ProofRefused,
  type Step,
  toHash,
  verifyConsistency,
  verifyInclusion,
} from '../../shared/merkle';
import { readCheckpoint, readPolicy, type Trusted, verifyNote } from '../../shared/note';
import * as memory from './memory';

export const PAGE = 50;
const RENEWED_MS = 5000;
const KEPT_MS = 30_000;

export type Log = Schemas['RecordView'];
export type Entry = Schemas['RecordEntry'];

export interface Filters {
  kind?: string | undefined;
  writer?: string | undefined;
  handle?: string | undefined;
  before?: number | undefined;
  start?: number | undefined;
}

export interface Checked extends Trusted {
  /** Entries of the checkpoint that this browser remembered; null at first sight. */
  before: number | null;
}

/** Without what is not given, as addresses want it. */
export function given<T extends object>(search: T) {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: NonNullable<T[K]>;
  };
}

/** The log, and what this browser found out about its checkpoint. */
export type Found = { log: Log } & (
  | { checked: Checked; refused: null }
  | { checked: null; refused: string }
);

const ask = () => body(client.GET('/api/record'));

export const record = queryOptions({
  queryKey: keys.record,
  queryFn: async (): Promise<Found> => {
    let log = await ask();
    // Another window may have seen more while this answer was on its way.
    if ((memory.recall(log.origin)?.size ?? 0) > log.size) log = await ask();
    try {
      return { log, checked: await check(log), refused: null };
    } catch (error) {
      if (error instanceof ProofRefused) return { log, checked: null, refused: error.message };
      throw error;
    }
  },
  refetchInterval: RENEWED_MS,
});

/**
 * That the log signed its checkpoint, and that it only grew since this browser last looked.
 *
 * @throws ProofRefused
 */
async function check(log: Log): Promise<Checked> {
  const { origin, size, root } = readCheckpoint(log.checkpoint);
  if (origin !== log.origin || size !== log.size || root !== log.root)
    throw new ProofRefused('the checkpoint is about another tree');
  const trusted = await verifyNote(log.checkpoint, readPolicy(log.policy));
  const old = memory.recall(origin);
  if (old !== null) {
    if (old.size > size) throw new ProofRefused('the log has become shorter');
    const proof = old.size === size ? [] : await proofSince(old.size, size);
    await verifyConsistency(old.size, size, proof.map(toHash), toHash(old.root), toHash(root));
  }
  memory.remember({ origin, size, root });
  return { ...trusted, before: old?.size ?? null };
}

async function proofSince(old: number, size: number): Promise<string[]> {
  const params = { query: { old, size } };
  return (await body(client.GET('/api/record/consistency', { params }))).proof;
}

/** Entries of a tree that this browser has checked, and which of them are not in it. */
export type Page = Schemas['RecordEntries'] & {
  checkpoint: string;
  refused: readonly number[];
};

/** A page of entries in the tree of a checkpoint that holds. */
export function entries(log: Log, filters: Filters) {
  return queryOptions({
    queryKey: [...keys.record, 'entries', log.size, filters],
    queryFn: () => provedPage(log, { limit: PAGE, ...filters }),
    placeholderData: keepPreviousData,
    gcTime: KEPT_MS,
  });
}

/** One entry in the tree as it was when somebody chose it: its proof stays what it is. */
export function chosen(log: Log, number: number) {
  return queryOptions({
    queryKey: [...keys.record, 'entry', number],
    queryFn: () => provedPage(log, { limit: 1, start: number }),
    gcTime: KEPT_MS,
  });
}

async function provedPage(log: Log, wanted: Filters & { limit: number }): Promise<Page> {
  const query = given({ ...wanted, size: log.size });
  const page = await body(client.GET('/api/record/entries', { params: { query } }));
  if (page.size !== log.size || page.root !== log.root)
    throw new ProofRefused('the entries are those of another tree');
  const outcomes = await Promise.all(page.entries.map((entry) => prove(entry, page, false)));
  const refused = page.entries.filter((_, i) => outcomes[i]?.refused !== null);
  return { ...page, checkpoint: log.checkpoint, refused: refused.map(({ number }) => number) };
}

export interface Outcome {
  leaf: Hash;
  steps: readonly Step[];
  refused: string | null;
}

/** The way of an entry, or of one with a bit changed, to the root. */
export async function prove(
  entry: Entry,
  tree: Pick<Page, 'size' | 'root'>,
  tampered: boolean,
): Promise<Outcome> {
  const bytes = fromBase64(entry.leaf);
  const middle = bytes.length >> 1;
  if (tampered) bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  const leaf = await leafHash(bytes);
  try {
    const proof = entry.proof.map(toHash);
    const steps = await verifyInclusion(leaf, entry.number, tree.size, proof, toHash(tree.root));
    return { leaf, steps, refused: null };
  } catch (error) {
    if (error instanceof ProofRefused) return { leaf, steps: error.steps, refused: error.message };
    throw error;
  }
}
