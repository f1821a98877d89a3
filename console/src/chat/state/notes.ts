/**
 * Notes to ourselves: said to nobody, under no session and no pad, and kept as what is said is.
 *
 * They stand under our own name, beside what we said in groups.
 */

import { toHex } from '../../shared/merkle';
import { type Content, Kind } from '../protocol/content';
import { ChatMisuse } from '../protocol/errors';
import { added, again, change, type MessageRecord, messages, messagesOf, retold } from './talk';
import type { Change, Vault } from './vault';

const NOTES = 'notes';
const OWN = 'own';

interface NotesRecord {
  readonly timerS: number;
}

/** Seconds after which what is written disappears; 0: it stays. */
export async function timerOfNotes(vault: Vault): Promise<number> {
  return (await vault.read<NotesRecord>(NOTES, OWN))?.value.timerS ?? 0;
}

export function setTimerOfNotes(vault: Vault, timerS: number): Promise<void> {
  return again(async () => {
    const found = await vault.read<NotesRecord>(NOTES, OWN);
    const value: NotesRecord = { timerS };
    await vault.commit([found ? change(NOTES, found, value) : added(NOTES, OWN, value)]);
  });
}

/** Those of an identity, by its fingerprint in hexadecimal, oldest first. */
export async function notesOf(vault: Vault, me: string): Promise<MessageRecord[]> {
  return (await messages(vault, me)).filter(({ content }) => !content.group);
}

/**
 * Write a note, or change or delete one.
 *
 * @param besides What changes in the same commit.
 * @throws ChatMisuse if there is no such note to change or to delete.
 */
export function note(
  vault: Vault,
  me: string,
  content: Content,
  besides: () => Promise<readonly Change[]> = async () => [],
): Promise<void> {
  return again(async () => {
    const isAbout = content.kind === Kind.edit || content.kind === Kind.delete;
    const changes = isAbout ? await retold(vault, me, content, true) : [written(me, content)];
    if (changes.length === 0) throw new ChatMisuse('expected a note that is there, got none');
    await vault.commit([...changes, ...(await besides())]);
  });
}

/** Its time runs at once. */
function written(me: string, content: Content): Change {
  const readMs = content.sentMs;
  const value: MessageRecord = { content, ours: true, protections: [], state: 'read', readMs };
  return added(messagesOf(me), toHex(content.id), value);
}
