import { Button, Checkbox, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { Chat, View } from '../../chat/engine/chat';
import type { GroupTalk } from '../../chat/engine/groups';
import { Dialog } from '../../shared/Dialog';
import { count } from '../../shared/format';
import { toHex } from '../../shared/merkle';
import { chat as say } from '../../texts/chat';
import { groups as words } from '../../texts/groups';
import styles from './ChatPage.module.css';
import { searchGroups } from './search';
import { reason, wordsOf } from './words';

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
          <li key={each.group}>
            <button
              type="button"
              aria-current={each.group === chosen || undefined}
              onClick={() => onChoose(each.group, hit && toHex(hit.content.id))}
            >
              <strong>
                <bdi>{each.name}</bdi>
              </strong>
              {each.unread > 0 && (
                <span className={styles.unread}>{say.unread(count(each.unread))}</span>
              )}
              <span className={styles.last}>{last(each, hit)}</span>
            </button>
          </li>
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

function last({ messages }: GroupTalk, hit: GroupTalk['messages'][number] | null): string {
  const message = hit ?? messages.at(-1);
  if (!message) return say.none;
  const said = message.deleted ? say.deleted : wordsOf(message);
  return `${message.ours ? say.you : message.name}: ${said}`;
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
