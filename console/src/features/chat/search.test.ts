import { describe, expect, it } from 'vitest';
import type { Conversation } from '../../chat/engine/view';
import { ascii } from '../../chat/protocol/bytes';
import { Kind, makeContent } from '../../chat/protocol/content';
import type { MessageRecord } from '../../chat/state/talk';
import { search, searchNotes } from './search';

function said(text: string, deleted = false): MessageRecord {
  const id = crypto.getRandomValues(new Uint8Array(16));
  const content = makeContent({ kind: Kind.text, id, sentMs: 1, text: ascii(text) });
  return { content, ours: true, protections: [], state: 'sent', deleted };
}

function talk(name: string, ...messages: MessageRecord[]): Conversation {
  const contact = { name, card: null, boxes: [], isVerified: false, timerS: 0, since: 1 };
  return {
    peer: name,
    contact: { ...contact, policy: 'prefer', mode: 'fresh' },
    messages,
    unread: 0,
    trouble: null,
    padLeft: 0,
    records: new Map(),
    warning: null,
    standing: { making: null, halt: null, session: null, part: 1, parts: 1 },
    isTyping: false,
    isHere: false,
    renewal: null,
    isMet: true,
    isBlocked: false,
    files: new Map(),
  };
}

describe('search', () => {
  const all = [
    talk('Ada', said('the lamp is on'), said('a lamp again')),
    talk('Berta', said('Lamp, taken back', true)),
    talk('Lampros'),
  ];
  const found = (query: string) =>
    search(all, query).map(({ conversation, hit }) => [
      conversation.peer,
      hit && new TextDecoder().decode(hit.content.text),
    ]);

  it('finds people by name, and the latest of what was said, but nothing taken back', () => {
    expect(found(' lamp ')).toEqual([
      ['Ada', 'a lamp again'],
      ['Lampros', null],
    ]);
    expect(found('nobody')).toEqual([]);
  });

  it('shows everybody where nothing is asked for', () => {
    expect(found(' ').map(([peer]) => peer)).toEqual(['Ada', 'Berta', 'Lampros']);
  });
});

describe('a search in notes', () => {
  const notes = {
    messages: [said('the lamp is on'), said('Lamp: 40 W'), said('lamp, deleted', true)],
    timerS: 0,
    files: new Map(),
  };
  const found = (query: string) => {
    const own = searchNotes(notes, query);
    return own?.hit && new TextDecoder().decode(own.hit.content.text);
  };

  it('finds the latest that has the words, and the notes by what they are called', () => {
    expect(found(' lamp ')).toBe('Lamp: 40 W');
    expect(searchNotes(notes, 'SELF')).toEqual({ hit: null });
    expect(searchNotes(notes, 'me')).toEqual({ hit: null });
    expect(searchNotes(notes, '')).toEqual({ hit: null });
    expect(searchNotes(notes, 'deleted')).toBeNull();
  });
});
