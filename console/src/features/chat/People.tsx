import { Button, Textarea, TextInput } from '@mantine/core';
import { type FormEvent, lazy, Suspense, useEffect, useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import type { View } from '../../chat/engine/view';
import { Dialog } from '../../shared/Dialog';
import { Panel } from '../../shared/Panel';
import { texts } from '../../shared/texts';
import { Words } from '../../shared/Words';
import { chat as say } from '../../texts/chat';
import { handle } from '../../texts/handle';
import { notes } from '../../texts/notes';
import { people } from '../../texts/people';
import { Asking } from './Asking';
import styles from './ChatPage.module.css';
import { Entry, place } from './Entry';
import { Find } from './Find';
import { GroupList } from './GroupList';
import { History } from './History';
import { search, searchNotes } from './search';
import { useCopied } from './useCopied';
import { reason } from './words';

const Handle = lazy(async () => ({ default: (await import('./Handle')).Handle }));

interface PeopleProps {
  chat: Chat;
  view: View;
  chosen: string | null;
  /** A conversation, at the message that was searched for. */
  onChoose: (peer: string, message: string | null) => void;
}

const WAYS = {
  find: people.find,
  add: say.add,
  mine: say.mine,
  handle: handle.mine,
} as const;
type Way = keyof typeof WAYS;
const EVERY_WAY: readonly Way[] = ['find', 'add', 'mine', 'handle'];

/** Whom we know, and the ways to know others. */
export function People({ chat, view, chosen, onChoose }: PeopleProps) {
  const [query, setQuery] = useState('');
  const found = search(view.conversations, query);
  const own = searchNotes(view.notes, query);
  const isAnybody = view.conversations.length > 0;
  const [asked, setAsked] = useState<Way | null>(null);
  const isUp = view.connection === 'up';
  const added = (peer: string) => {
    setAsked(null);
    onChoose(peer, null);
  };
  return (
    <Panel title={say.people}>
      <div className={styles.ways}>
        {EVERY_WAY.map((way) => (
          <Button
            key={way}
            size="compact-md"
            fz="sm"
            variant={way === 'find' ? 'filled' : 'default'}
            disabled={!isUp}
            onClick={() => setAsked(way)}
          >
            {WAYS[way]}
          </Button>
        ))}
      </div>
      <Asking
        requests={view.strange.requests}
        chosen={chosen}
        onChoose={(peer) => onChoose(peer, null)}
      />
      {!isAnybody && <p className={styles.none}>{say.nobody}</p>}
      {(isAnybody || view.notes.messages.length > 0) && (
        <TextInput
          type="search"
          aria-label={say.search}
          placeholder={say.search}
          value={query}
          onChange={(event) => setQuery(event.currentTarget.value)}
        />
      )}
      <ul className={styles.people}>
        {own && (
          <Entry
            name={notes.title}
            unread={0}
            message={own.hit ?? view.notes.messages.at(-1)}
            author={null}
            none={notes.none}
            isChosen={chosen === chat.notes.me}
            onChoose={() => onChoose(chat.notes.me, place(own.hit))}
          />
        )}
        {found.map(({ conversation: each, hit }) => (
          <Entry
            key={each.peer}
            name={each.contact.name}
            isHere={each.isHere}
            unread={each.unread}
            message={hit ?? each.messages.at(-1)}
            isChosen={each.peer === chosen}
            onChoose={() => onChoose(each.peer, place(hit))}
          />
        ))}
      </ul>
      {isAnybody && found.length === 0 && !own && <p className={styles.none}>{say.searchNone}</p>}
      {isAnybody && (
        <GroupList chat={chat} view={view} chosen={chosen} query={query} onChoose={onChoose} />
      )}
      <History chat={chat} />
      <Dialog opened={asked === 'find'} onClose={() => setAsked(null)} title={WAYS.find}>
        <Find chat={chat} onAdded={added} />
      </Dialog>
      <Dialog opened={asked === 'add'} onClose={() => setAsked(null)} title={say.add}>
        <Add chat={chat} onAdded={added} />
      </Dialog>
      <Dialog opened={asked === 'mine'} onClose={() => setAsked(null)} title={say.mine}>
        <Mine chat={chat} />
      </Dialog>
      <Dialog opened={asked === 'handle'} onClose={() => setAsked(null)} title={handle.mine}>
        <Suspense>
          <Handle chat={chat} handle={view.handle} strange={view.strange} />
        </Suspense>
      </Dialog>
    </Panel>
  );
}

function Add({ chat, onAdded }: { chat: Chat; onAdded: (peer: string) => void }) {
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);

  const add = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const link = String(new FormData(event.currentTarget).get('link') ?? '').trim();
    setBusy(true);
    try {
      onAdded(await chat.add(link));
    } catch (refused) {
      setError(reason(refused));
      setBusy(false);
    }
  };
  return (
    <form className={styles.form} onSubmit={(event) => void add(event)}>
      <p>
        <Words>{say.addLead}</Words>
      </p>
      <Textarea
        name="link"
        label={say.addLabel}
        rows={6}
        required
        maxLength={24_000}
        error={error}
        className={styles.link}
      />
      <Button type="submit" loading={isBusy}>
        {say.addSubmit}
      </Button>
    </form>
  );
}

function Mine({ chat }: { chat: Chat }) {
  const [link, setLink] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const { isCopied, copy } = useCopied();

  useEffect(() => {
    let isHere = true;
    chat
      .invite()
      .then((made) => isHere && setLink(made))
      .catch((refused: unknown) => isHere && setError(reason(refused)));
    return () => {
      isHere = false;
    };
  }, [chat]);

  return (
    <div className={styles.form}>
      <p>{say.mineLead}</p>
      {link === null && <p role="status">{error ?? say.mineWait}</p>}
      {link !== null && (
        <>
          <Textarea
            label={say.mine}
            rows={6}
            readOnly
            value={link}
            className={styles.link}
            onFocus={(event) => event.currentTarget.select()}
          />
          <p className={styles.hint}>
            <Words>{say.mineTerminal}</Words>
          </p>
          <Button onClick={() => void copy(link)}>{isCopied ? texts.copied : texts.copy}</Button>
        </>
      )}
    </div>
  );
}
