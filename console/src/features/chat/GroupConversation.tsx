import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import { type GroupMessage, type GroupTalk, recordsIn } from '../../chat/engine/groups';
import type { Conversation as Talk, View } from '../../chat/engine/view';
import { Kind } from '../../chat/protocol/content';
import { Dialog } from '../../shared/Dialog';
import { count } from '../../shared/format';
import { toHex } from '../../shared/merkle';
import { Panel } from '../../shared/Panel';
import { LevelIcon } from '../../shared/status';
import { tell } from '../../shared/tell';
import { chat as say } from '../../texts/chat';
import { groups as words } from '../../texts/groups';
import { Preparing } from './Attachment';
import { Back } from './Back';
import { type About, Composer, toOthers } from './Composer';
import styles from './Conversation.module.css';
import own from './Group.module.css';
import { GroupMembers } from './GroupMembers';
import { Log } from './Log';
import { Message } from './Message';
import { Protection } from './Protection';
import { quiet } from './quiet';
import { Timer } from './Timer';

interface GroupConversationProps {
  chat: Chat;
  view: View;
  group: GroupTalk;
  /** Id of the message to show at first, in hexadecimal. */
  sought: string | null;
  onBack: () => void;
  onChoose: (who: string) => void;
}

/** What was said in a group, how far each copy has come, and a place to say more. */
export function GroupConversation(props: GroupConversationProps) {
  const { chat, view, group, sought, onBack, onChoose } = props;
  const { group: id, messages, unread, typing } = group;
  const [isListing, setListing] = useState(false);
  const [looked, setLooked] = useState<string | null>(null);
  const [about, setAbout] = useState<About | null>(null);
  const shown = messages.find(({ content }) => toHex(content.id) === looked);
  const records = recordsIn(group, view.conversations);

  return (
    <Panel
      title={group.name}
      aside={
        <>
          <Button size="compact-sm" variant="default" onClick={() => setListing(true)}>
            {words.settings}: {words.count(count(group.members.length))}
          </Button>
          <Back onBack={onBack} />
        </>
      }
    >
      <div className={styles.talk}>
        {group.isIn && (
          <div className={styles.pads} data-open>
            <Timer timerS={group.timerS} onChoose={(timerS) => chat.groups.setTimer(id, timerS)} />
          </div>
        )}
        <Log
          label={words.log(group.name)}
          many={messages.length}
          unread={unread}
          sought={sought}
          onRead={() => chat.groups.read(id)}
        >
          {messages.map((message) => (
            <Message
              key={toHex(message.content.id)}
              message={message}
              files={chat.files}
              who={message.name}
              note={noteOf(message)}
              conversation={talkOf(chat.groups.me, group, message, view, records)}
              isSought={toHex(message.content.id) === sought}
              onResend={() => chat.groups.resend(id)}
              onReply={() => setAbout({ kind: Kind.reply, message })}
              onEdit={() => setAbout({ kind: Kind.edit, message })}
              onTakeBack={() =>
                void chat.groups.sayOf(id, Kind.delete, message.content.id).catch(tell)
              }
              onLook={() => setLooked(toHex(message.content.id))}
            />
          ))}
        </Log>
        <p className={styles.typing} role="status">
          {typing.length > 0 && words.typing(typing.join(', '))}
        </p>
        <Preparing peer={chat.groups.me} all={group.files} files={chat.files} />
        <Halted group={group} view={view} />
        {group.isIn ? (
          <Composer
            words={toOthers(group.name)}
            onType={() => void chat.groups.typing(id).catch(tell)}
            about={about}
            onLeave={() => setAbout(null)}
            onSay={async (text) => {
              const target = about?.message.content.id;
              if (about && target) await chat.groups.sayOf(id, about.kind, target, text);
              else await chat.groups.say(id, text);
              setAbout(null);
            }}
            onAttach={(file) => chat.groups.attach(id, file.name, file)}
          />
        ) : (
          <p className={styles.typing}>{words.out}</p>
        )}
      </div>
      <Dialog opened={isListing} onClose={() => setListing(false)} title={words.settings}>
        <GroupMembers
          chat={chat}
          view={view}
          group={group}
          onTalk={onChoose}
          onRenewed={onChoose}
        />
      </Dialog>
      <Dialog
        side
        opened={shown !== undefined}
        onClose={() => setLooked(null)}
        title={say.panel.title}
      >
        {shown && <Protected message={shown} view={view} records={records} />}
      </Dialog>
    </Panel>
  );
}

/** What protected a message: of ours, each of its copies. */
function Protected({
  message,
  view,
  records,
}: {
  message: GroupMessage;
  view: View;
  records: Talk['records'];
}) {
  const id = toHex(message.content.id);
  if (!message.ours) return <Protection message={message} records={records} session={null} />;
  return message.copies.map((copy) => {
    const standing = view.conversations.find(({ peer }) => peer === copy.peer)?.standing;
    const session = standing?.making === id ? standing.session : null;
    return (
      <section key={copy.peer} className={own.copy}>
        <h3>
          <bdi>{words.copyTo(copy.name)}</bdi>
          <small>{words.states[copy.message.state]}</small>
        </h3>
        <Protection message={copy.message} records={records} session={session} />
      </section>
    );
  });
}

/** The session of a copy was aborted: unmistakable, and nothing is lost. */
function Halted({ group, view }: { group: GroupTalk; view: View }) {
  const stuck = new Set(
    group.messages.flatMap(({ copies }) =>
      copies.filter(({ message }) => message.state === 'unsent').map(({ peer }) => peer),
    ),
  );
  const halted = view.conversations.filter(
    ({ peer, standing }) => standing.halt === 'aborted' && stuck.has(peer),
  );
  if (halted.length === 0) return null;
  const names = halted.map(({ contact }) => contact.name).join(', ');
  return (
    <div className={styles.alarm} role="alert" data-level="RED">
      <LevelIcon level="RED" size={22} />
      <p>
        <strong>{words.halted}</strong> {words.haltedWhat(names)}
      </p>
    </div>
  );
}

/** How far the copies of a message of ours have come, in words. */
function noteOf({ ours, copies, deleted }: GroupMessage): string | null {
  if (!ours || deleted || copies.length === 0) return null;
  const namesOf = (...states: GroupMessage['state'][]) =>
    copies.filter(({ message }) => states.includes(message.state)).map(({ name }) => name);
  const came = namesOf('delivered', 'read');
  const lists = [
    [words.readBy, namesOf('read')],
    [words.refusedBy, namesOf('refused')],
    [words.waitsFor, namesOf('unsent', 'waiting')],
  ] as const;
  const told = lists.filter(([, names]) => names.length > 0);
  return [
    words.delivered(count(came.length), count(copies.length)),
    ...told.map(([how, names]) => how(names.join(', '))),
  ].join(' · ');
}

/** What a message of a group is shown with, as those of two are with their conversation. */
function talkOf(
  me: string,
  { messages, files }: GroupTalk,
  { content, author, name, copies }: GroupMessage,
  view: View,
  records: Talk['records'],
): Talk {
  const id = toHex(content.id);
  const waits = new Set(
    copies.filter(({ message }) => message.state === 'unsent').map(({ peer }) => peer),
  );
  const theirs = view.conversations.filter(({ peer }) => waits.has(peer));
  const making = theirs.find(({ standing }) => standing.making === id)?.standing;
  const halt = theirs.find(({ standing }) => standing.halt)?.standing.halt ?? null;
  return {
    ...quiet(author ?? me, name),
    messages,
    trouble: theirs.find(({ trouble }) => trouble)?.trouble ?? null,
    records,
    standing: {
      making: making ? id : null,
      halt,
      session: making?.session ?? null,
      part: making?.part ?? 1,
      parts: making?.parts ?? 1,
    },
    files: author
      ? (view.conversations.find(({ peer }) => peer === author)?.files ?? new Map())
      : files,
  };
}
