/** What came while nobody looks: counted, in the window's title, and as a notice where that is permitted. */

import type { Chat } from '../../chat/engine/chat';
import { count } from '../../shared/format';
import { setUnread } from '../../shared/unread';
import { chat as say } from '../../texts/chat';
import { handle } from '../../texts/handle';

const TITLE = document.title;
const { request } = handle;
const told = new Map<string, number>();

/** Follow a chat; ends with what is returned. */
export function notice(chat: Chat): () => void {
  told.clear();
  const look = () => {
    const { conversations, groups, strange } = chat.view();
    const places = [
      ...conversations.map(({ peer, contact, unread: now }) => [peer, contact.name, now] as const),
      ...groups.map(({ group, name, unread: now }) => [group, name, now] as const),
      // What strangers call themselves is not for the system's notices.
      ...strange.requests.map(({ peer, messages }) => [peer, request, messages.length] as const),
    ];
    const unread = places.reduce((sum, [, , now]) => sum + now, 0);
    setUnread(unread);
    document.title = unread > 0 ? `(${count(unread)}) ${TITLE}` : TITLE;
    for (const [place, name, now] of places) {
      const isNew = now > (told.get(place) ?? now);
      told.set(place, now);
      if (isNew && document.hidden) show(name, place);
    }
  };
  look();
  const ended = chat.subscribe(look);
  return () => {
    ended();
    setUnread(0);
    document.title = TITLE;
  };
}

/** Words stay in the page: a notice may be seen by others, and is kept by the system. */
function show(name: string, place: string): void {
  if (!('Notification' in globalThis) || Notification.permission !== 'granted') return;
  const shown = new Notification(name, { body: say.notice, tag: place });
  shown.onclick = () => globalThis.focus();
}
