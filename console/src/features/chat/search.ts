/** People by their names, and by what was said with them. */

import type { GroupMessage, GroupTalk } from '../../chat/engine/groups';
import type { NotesTalk } from '../../chat/engine/notes';
import type { Conversation } from '../../chat/engine/view';
import type { MessageRecord } from '../../chat/state/talk';
import { notes as say } from '../../texts/notes';
import { wordsOf } from './words';

export interface Found {
  conversation: Conversation;
  /** The latest message that has the words. */
  hit: MessageRecord | null;
}

/** Those whose name has the words, or that have said them. */
export function search(conversations: readonly Conversation[], query: string): Found[] {
  const words = query.trim().toLowerCase();
  const has = (text: string) => text.toLowerCase().includes(words);
  if (words === '') return conversations.map((conversation) => ({ conversation, hit: null }));
  return conversations.flatMap((conversation) => {
    const hit = conversation.messages.findLast((each) => !each.deleted && has(wordsOf(each)));
    return hit || has(conversation.contact.name) ? [{ conversation, hit: hit ?? null }] : [];
  });
}

export interface FoundGroup {
  group: GroupTalk;
  /** The latest message that has the words. */
  hit: GroupMessage | null;
}

/** Groups whose name has the words, or in which they were said. */
export function searchGroups(groups: readonly GroupTalk[], query: string): FoundGroup[] {
  const words = query.trim().toLowerCase();
  const has = (text: string) => text.toLowerCase().includes(words);
  if (words === '') return groups.map((group) => ({ group, hit: null }));
  return groups.flatMap((group) => {
    const hit = group.messages.findLast((each) => !each.deleted && has(wordsOf(each)));
    return hit || has(group.name) ? [{ group, hit: hit ?? null }] : [];
  });
}

export interface FoundNotes {
  /** The latest note that has the words. */
  hit: MessageRecord | null;
}

/** The notes, if they are called so, or have the words; else null. */
export function searchNotes({ messages }: NotesTalk, query: string): FoundNotes | null {
  const words = query.trim().toLowerCase();
  if (words === '') return { hit: null };
  const has = (text: string) => text.toLowerCase().includes(words);
  const hit = messages.findLast((each) => !each.deleted && has(wordsOf(each)));
  return hit || has(say.title) || words === say.also ? { hit: hit ?? null } : null;
}
