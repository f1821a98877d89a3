import type { Conversation } from '../../chat/engine/view';

/** What messages are shown with that are of no conversation of two: nothing of it is under way. */
export function quiet(peer: string, name: string): Conversation {
  return {
    peer,
    contact: {
      name,
      card: null,
      boxes: [],
      policy: 'prefer',
      mode: 'fresh',
      isVerified: false,
      timerS: 0,
      since: 0,
    },
    messages: [],
    unread: 0,
    trouble: null,
    padLeft: 0,
    records: new Map(),
    warning: null,
    standing: { making: null, halt: null, session: null, part: 1, parts: 1 },
    files: new Map(),
    isTyping: false,
    isHere: false,
    renewal: null,
    isMet: true,
    isBlocked: false,
  };
}
