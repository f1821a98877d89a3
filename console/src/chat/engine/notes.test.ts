// @vitest-environment node
import 'fake-indexeddb/auto';
import { describe, expect, it, vi } from 'vitest';
import type { Bytes } from '../protocol/bytes';
import { Kind, MAX_TEXT_BYTES } from '../protocol/content';
import { ChatMisuse } from '../protocol/errors';
import { readSmallFile } from '../protocol/file';
import { fileKey } from '../state/files';
import { waiting } from '../state/talk';
import { placeOf } from './files';
import { ModelRelay } from './testing/relay';
import { type Side, side, two, until } from './testing/sides';

const notes = (one: Side) => one.chat.view().notes;
const words = (one: Side) =>
  notes(one).messages.map(({ content, deleted, edited }) => [
    new TextDecoder().decode(content.text),
    Boolean(edited),
    Boolean(deleted),
  ]);
const idOf = (one: Side, at: number): Bytes => {
  const message = notes(one).messages.at(at);
  if (!message) throw new Error('expected a note');
  return message.content.id;
};
const LARGE = new Uint8Array(MAX_TEXT_BYTES + 9).map((_, at) => at * 7);

describe('notes to self', () => {
  it('are written, answered, changed and deleted, and are there when it is opened again', async () => {
    const relay = new ModelRelay();
    const ada = await side(relay, 'ada');
    await ada.chat.notes.say('milk ½');
    await ada.chat.notes.say('bread');
    await ada.chat.notes.sayOf(Kind.reply, idOf(ada, 0), 'two litres');
    await ada.chat.notes.sayOf(Kind.edit, idOf(ada, 1), 'rye bread');
    await ada.chat.notes.sayOf(Kind.delete, idOf(ada, 0));
    const all = [
      ['', false, true],
      ['rye bread', true, false],
      ['two litres', false, false],
    ];
    expect(words(ada)).toEqual(all);
    expect(notes(ada).messages[2]?.content.target).toEqual(idOf(ada, 0));
    ada.close();
    const again = await side(relay, 'ada', { place: ada.place });
    expect(words(again)).toEqual(all);
  });

  it('go to nobody, not even sealed, and need no relay', async () => {
    const relay = new ModelRelay();
    relay.isUp = false;
    const ada = await side(relay, 'ada');
    await ada.chat.notes.say('nobody hears this');
    expect(await waiting(ada.vault)).toEqual([]);
    expect(await ada.vault.list('session')).toEqual([]);
    expect(ada.chat.view().conversations).toEqual([]);
    expect(notes(ada).messages[0]).toMatchObject({ ours: true, state: 'read', protections: [] });
  });

  it('stand apart from what was said to others and in groups', async () => {
    const [alice, bob] = await two(new ModelRelay());
    const group = await alice.chat.groups.new('both', [alice.peer]);
    await alice.chat.groups.say(group, 'to the group');
    await alice.chat.notes.say('to myself');
    await until(() => expect(bob.chat.view().groups[0]?.messages).toHaveLength(1));
    expect(words(alice)).toEqual([['to myself', false, false]]);
    expect(alice.chat.view().groups[0]?.messages).toHaveLength(1);
    const [said] = alice.chat.view().groups[0]?.messages ?? [];
    const id = said?.content.id as Bytes;
    await expect(alice.chat.notes.sayOf(Kind.delete, id)).rejects.toThrow(ChatMisuse);
    expect(alice.chat.view().groups[0]?.messages[0]?.deleted).toBeFalsy();
    expect(words(bob)).toEqual([]);
  });

  it('disappear once their time is over, from when they were written', async () => {
    const ada = await side(new ModelRelay(), 'ada');
    await ada.chat.notes.setTimer(300);
    await ada.chat.notes.say('for five minutes');
    await ada.chat.notes.setTimer(0);
    await ada.chat.notes.say('stays');
    ada.close();
    const again = await side(new ModelRelay(), 'ada', { place: ada.place });
    await again.chat.notes.sweep();
    expect(words(again).map(([text]) => text)).toEqual(['for five minutes', 'stays']);
    const now = vi.spyOn(Date, 'now');
    now.mockReturnValue(Date.now() + 300_001);
    await again.chat.notes.sweep();
    now.mockRestore();
    expect(words(again).map(([text]) => text)).toEqual(['stays']);
  });

  it('are no longer than a message, and nothing is kept of a longer one', async () => {
    const ada = await side(new ModelRelay(), 'ada');
    const long = 'x'.repeat(MAX_TEXT_BYTES + 1);
    await expect(ada.chat.notes.say(long)).rejects.toThrow(ChatMisuse);
    expect(notes(ada).messages).toEqual([]);
  });

  it('have files, of which large ones lie beside them and go with them', async () => {
    const relay = new ModelRelay();
    const ada = await side(relay, 'ada');
    const { me } = ada.chat.notes;
    await ada.chat.notes.attach('../small.txt', new Blob(['inside']));
    await ada.chat.notes.attach('large.bin', new Blob([LARGE]));
    ada.close();
    const again = await side(relay, 'ada', { place: ada.place });
    const small = notes(again).messages[0]?.content.text as Bytes;
    expect(readSmallFile(small)).toMatchObject({ name: 'small.txt' });
    const id = idOf(again, 1);
    expect(notes(again).files.get(placeOf(id, true))).toMatchObject({
      name: 'large.bin',
      state: 'kept',
      done: LARGE.length,
    });
    const blob = await again.chat.files.blob(me, id, true);
    expect(new Uint8Array(await blob.arrayBuffer())).toEqual(LARGE);
    const pieces = () => again.vault.countPieces(fileKey(me, id, true));
    expect(await pieces()).toBe(6);
    await again.chat.notes.sayOf(Kind.delete, id);
    await again.chat.files.mind();
    expect(await pieces()).toBe(0);
    await expect(again.chat.files.blob(me, id, true)).rejects.toThrow(ChatMisuse);
  });
});
