/** People by their names, and by what was said with them. */

import type { Conversation } from '../../chat/engine/chat';
import type { MessageRecord } from '../../chat/state/talk';
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
