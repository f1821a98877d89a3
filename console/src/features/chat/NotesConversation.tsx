import { useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import type { NotesTalk } from '../../chat/engine/notes';
import { Kind } from '../../chat/protocol/content';
import { toHex } from '../../shared/merkle';
import { Panel } from '../../shared/Panel';
import { tell } from '../../shared/tell';
import { notes as words } from '../../texts/notes';
import { Preparing } from './Attachment';
import { Back } from './Back';
import { type About, Composer } from './Composer';
import styles from './Conversation.module.css';
import { Log } from './Log';
import { Message } from './Message';
import { quiet } from './quiet';
import { Timer } from './Timer';

interface NotesConversationProps {
  chat: Chat;
  notes: NotesTalk;
  /** Id of the note to show at first, in hexadecimal. */
  sought: string | null;
  onBack: () => void;
}

/** What we have written to ourselves, and a place to write more. */
export function NotesConversation({ chat, notes, sought, onBack }: NotesConversationProps) {
  const [about, setAbout] = useState<About | null>(null);
  const { me } = chat.notes;
  return (
    <Panel title={words.title} aside={<Back onBack={onBack} />}>
      <div className={styles.talk}>
        <div className={styles.pads} data-open>
          <Timer
            timerS={notes.timerS}
            onChoose={(timerS) => chat.notes.setTimer(timerS)}
            label={words.timer}
            after={words.after}
          />
          <p>{words.lead}</p>
        </div>
        <Log
          label={words.log}
          many={notes.messages.length}
          unread={0}
          sought={sought}
          onRead={async () => {}}
        >
          {notes.messages.map((message) => (
            <Message
              key={toHex(message.content.id)}
              message={message}
              conversation={{ ...quiet(me, words.title), ...notes }}
              files={chat.files}
              isNote
              isSought={toHex(message.content.id) === sought}
              onReply={() => setAbout({ kind: Kind.reply, message })}
              onEdit={() => setAbout({ kind: Kind.edit, message })}
              onTakeBack={() => void chat.notes.sayOf(Kind.delete, message.content.id).catch(tell)}
            />
          ))}
        </Log>
        <Preparing peer={me} all={notes.files} files={chat.files} />
        <Composer
          words={{ write: words.write, send: words.keep, attach: words.attach }}
          about={about}
          onLeave={() => setAbout(null)}
          onSay={async (text) => {
            if (about) await chat.notes.sayOf(about.kind, about.message.content.id, text);
            else await chat.notes.say(text);
            setAbout(null);
          }}
          onAttach={(file) => chat.notes.attach(file.name, file)}
        />
      </div>
    </Panel>
  );
}
