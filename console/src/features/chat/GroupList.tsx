import { Button, Checkbox, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import type { View } from '../../chat/engine/view';
import { Dialog } from '../../shared/Dialog';
import { groups as words } from '../../texts/groups';
import styles from './ChatPage.module.css';
import { Entry, place } from './Entry';
import { searchGroups } from './search';
import { reason } from './words';

interface GroupListProps {
  chat: Chat;
  view: View;
  chosen: string | null;
  /** What is searched for. */
  query: string;
  /** A group, at the message that was searched for. */
  onChoose: (group: string, message: string | null) => void;
}

/** The groups that we are in, or were, and a way to make one. */
export function GroupList({ chat, view, chosen, query, onChoose }: GroupListProps) {
  const [isMaking, setMaking] = useState(false);
  const found = searchGroups(view.groups, query);
  return (
    <section className={styles.groups} aria-label={words.title}>
      <div className={styles.groupsHead}>
        <h3>{words.title}</h3>
        <Button size="compact-xs" variant="default" onClick={() => setMaking(true)}>
          {words.make}
        </Button>
      </div>
      <ul className={styles.people}>
        {found.map(({ group: each, hit }) => (
          <Entry
            key={each.group}
            name={each.name}
            unread={each.unread}
            message={hit ?? each.messages.at(-1)}
            author={(hit ?? each.messages.at(-1))?.name}
            isChosen={each.group === chosen}
            onChoose={() => onChoose(each.group, place(hit))}
          />
        ))}
      </ul>
      <Dialog opened={isMaking} onClose={() => setMaking(false)} title={words.make}>
        <Make
          chat={chat}
          view={view}
          onMade={(group) => {
            setMaking(false);
            onChoose(group, null);
          }}
        />
      </Dialog>
    </section>
  );
}

interface MakeProps {
  chat: Chat;
  view: View;
  onMade: (group: string) => void;
}

function Make({ chat, view, onMade }: MakeProps) {
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [members, setMembers] = useState<string[]>([]);
  const known = view.conversations.filter(({ contact }) => contact.card);

  const make = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get('name') ?? '').trim();
    setBusy(true);
    try {
      onMade(await chat.groups.new(name, members));
    } catch (refused) {
      setError(reason(refused));
      setBusy(false);
    }
  };
  if (known.length === 0) return <p>{words.makeNobody}</p>;
  return (
    <form className={styles.form} onSubmit={(event) => void make(event)}>
      <p>{words.makeLead}</p>
      <TextInput name="name" label={words.name} required maxLength={120} error={error} />
      <Checkbox.Group label={words.who} value={members} onChange={setMembers}>
        <div className={styles.choices}>
          {known.map(({ peer, contact }) => (
            <Checkbox key={peer} value={peer} label={contact.name} />
          ))}
        </div>
      </Checkbox.Group>
      <Button type="submit" loading={isBusy} disabled={members.length === 0}>
        {words.makeSubmit}
      </Button>
    </form>
  );
}
