import { Button, NativeSelect, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import type { GroupMember, GroupTalk } from '../../chat/engine/groups';
import type { View } from '../../chat/engine/view';
import { groups as words } from '../../texts/groups';
import styles from './Group.module.css';
import { reason } from './words';

interface GroupMembersProps {
  chat: Chat;
  view: View;
  group: GroupTalk;
  /** Go to the conversation with a member. */
  onTalk: (peer: string) => void;
  /** It was made anew: its id. */
  onRenewed: (group: string) => void;
}

/** Who is in a group, and what can be done about it. */
export function GroupMembers({ chat, view, group, onTalk, onRenewed }: GroupMembersProps) {
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const done = async (work: () => Promise<unknown>) => {
    setBusy(true);
    try {
      await work();
      setError(null);
    } catch (refused) {
      setError(reason(refused));
    }
    setBusy(false);
  };
  const isAdmin = group.isAdmin && group.isIn;
  const id = group.group;
  return (
    <div className={styles.panel} aria-busy={isBusy}>
      <p>{words.membersLead}</p>
      <ul className={styles.members}>
        {group.members.map((member) => (
          <li key={member.peer}>
            <Member member={member} onTalk={onTalk} />
            {isAdmin && !member.isMe && (
              <span className={styles.does}>
                <Sure
                  label={words.handOver}
                  question={words.handOverSure(member.name)}
                  isBusy={isBusy}
                  run={() => void done(() => chat.groups.handOver(id, member.peer))}
                />
                <Button
                  size="compact-xs"
                  variant="default"
                  disabled={isBusy}
                  aria-label={`${words.remove} ${member.name}`}
                  onClick={() => void done(() => chat.groups.remove(id, member.peer))}
                >
                  {words.remove}
                </Button>
              </span>
            )}
          </li>
        ))}
      </ul>
      {isAdmin && (
        <Change
          group={group}
          view={view}
          isBusy={isBusy}
          onAdd={(peer) => void done(() => chat.groups.add(id, peer))}
          onRename={(name) => void done(() => chat.groups.rename(id, name))}
        />
      )}
      {error && <p role="alert">{error}</p>}
      {group.isIn && (
        <div className={styles.ways}>
          {isAdmin && group.members.length > 1 ? (
            <p>{words.leaveAdmin}</p>
          ) : (
            <Sure
              label={words.leave}
              question={words.leaveSure}
              isBusy={isBusy}
              run={() => void done(() => chat.groups.leave(id))}
            />
          )}
          {!isAdmin && group.members.length > 2 && (
            <Sure
              label={words.renew}
              question={words.renewSure}
              isBusy={isBusy}
              run={() => void done(async () => onRenewed(await chat.groups.renew(id)))}
            />
          )}
        </div>
      )}
    </div>
  );
}

function Member({ member, onTalk }: { member: GroupMember; onTalk: (peer: string) => void }) {
  const { name, isMe, isAdmin, isReachable, isVerified } = member;
  const marks = [
    isMe && words.you,
    isAdmin && words.admin,
    !isMe && !isReachable && words.notReached,
    !isMe && isReachable && (isVerified ? words.compared : words.notCompared),
  ].filter((each) => each !== false);
  return (
    <span className={styles.member}>
      {isMe || !isReachable ? (
        <bdi>{name}</bdi>
      ) : (
        <button type="button" onClick={() => onTalk(member.peer)}>
          <bdi>{name}</bdi>
        </button>
      )}
      <small>{marks.join(' · ')}</small>
    </span>
  );
}

interface ChangeProps {
  group: GroupTalk;
  view: View;
  isBusy: boolean;
  onAdd: (peer: string) => void;
  onRename: (name: string) => void;
}

function Change({ group, view, isBusy, onAdd, onRename }: ChangeProps) {
  const inside = new Set(group.members.map(({ peer }) => peer));
  const others = view.conversations.filter(
    ({ peer, contact }) => contact.card && !inside.has(peer),
  );
  const read = (event: FormEvent<HTMLFormElement>, field: string) => {
    event.preventDefault();
    return String(new FormData(event.currentTarget).get(field) ?? '').trim();
  };
  return (
    <>
      {others.length > 0 && (
        <form
          className={styles.row}
          onSubmit={(event) => {
            const peer = read(event, 'peer');
            if (peer) onAdd(peer);
          }}
        >
          <NativeSelect
            name="peer"
            label={words.addMember}
            data={[
              { value: '', label: words.choose },
              ...others.map(({ peer, contact }) => ({ value: peer, label: contact.name })),
            ]}
          />
          <Button type="submit" variant="default" disabled={isBusy}>
            {words.add}
          </Button>
        </form>
      )}
      <form className={styles.row} onSubmit={(event) => onRename(read(event, 'name'))}>
        <TextInput
          name="name"
          label={words.name}
          defaultValue={group.name}
          required
          maxLength={120}
        />
        <Button type="submit" variant="default" disabled={isBusy}>
          {words.rename}
        </Button>
      </form>
    </>
  );
}

interface SureProps {
  label: string;
  question: string;
  isBusy: boolean;
  run: () => void;
}

/** What is not taken back is asked for once more. */
function Sure({ label, question, isBusy, run }: SureProps) {
  const [isAsked, setAsked] = useState(false);
  if (!isAsked)
    return (
      <Button size="compact-xs" variant="default" disabled={isBusy} onClick={() => setAsked(true)}>
        {label}
      </Button>
    );
  return (
    <span className={styles.sure}>
      {question}{' '}
      <Button
        size="compact-xs"
        color="red"
        disabled={isBusy}
        aria-label={`${words.sure}: ${label}`}
        onClick={() => {
          setAsked(false);
          run();
        }}
      >
        {words.sure}
      </Button>
    </span>
  );
}
