import { ActionIcon, Button } from '@mantine/core';
import IconSettings from '@tabler/icons-react/dist/esm/icons/IconAdjustmentsHorizontal.mjs';
import IconVerified from '@tabler/icons-react/dist/esm/icons/IconShieldCheckFilled.mjs';
import IconUnverified from '@tabler/icons-react/dist/esm/icons/IconShieldQuestion.mjs';
import { useId, useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import type { Conversation as Talk } from '../../chat/engine/view';
import { Kind } from '../../chat/protocol/content';
import type { MessageRecord } from '../../chat/state/talk';
import { Dialog } from '../../shared/Dialog';
import { decimal, percent } from '../../shared/format';
import { toHex } from '../../shared/merkle';
import { Panel } from '../../shared/Panel';
import { LevelIcon } from '../../shared/status';
import { tell } from '../../shared/tell';
import { chat as say } from '../../texts/chat';
import { history } from '../../texts/history';
import { known } from '../../texts/known';
import { Preparing } from './Attachment';
import { Back } from './Back';
import { type About, Composer, toOthers } from './Composer';
import styles from './Conversation.module.css';
import { Here } from './Here';
import own from './History.module.css';
import { Blocked } from './Known';
import { Log } from './Log';
import { Message } from './Message';
import { Pads } from './Pads';
import { Protection } from './Protection';
import { renewalOf } from './Renewal';
import { Safety } from './Safety';

interface ConversationProps {
  chat: Chat;
  conversation: Talk;
  /** Id of the message to show at first, in hexadecimal. */
  sought: string | null;
  onBack: () => void;
}

/** What two people have said, how it was protected, and a place to say more. */
export function Conversation({ chat, conversation, sought, onBack }: ConversationProps) {
  const { peer, contact, messages, unread, isTyping, isHere, standing, isMet } = conversation;
  const { isBlocked } = conversation;
  const settings = useId();
  const [isSetting, setSetting] = useState(false);
  const [isComparing, setComparing] = useState(false);
  const [looked, setLooked] = useState<string | null>(null);
  const [about, setAbout] = useState<About | null>(null);
  const shown = messages.find(({ content }) => toHex(content.id) === looked);

  const Shield = contact.isVerified ? IconVerified : IconUnverified;
  return (
    <Panel
      title={contact.name}
      aside={
        <>
          {isHere && <Here />}
          <Button size="compact-sm" variant="default" onClick={() => setComparing(true)}>
            <Shield size={16} aria-hidden />
            <span className={styles.wide}>
              {say.safety}: {contact.isVerified ? say.verified : say.unverified}
            </span>
          </Button>
          <ActionIcon
            className={styles.narrow}
            variant="default"
            aria-label={say.settings}
            aria-expanded={isSetting}
            aria-controls={settings}
            onClick={() => setSetting(!isSetting)}
          >
            <IconSettings size={18} aria-hidden />
          </ActionIcon>
          <Back onBack={onBack} />
        </>
      }
    >
      <div className={styles.talk}>
        <Pads id={settings} isOpen={isSetting} chat={chat} conversation={conversation} />
        <Log
          label={say.log(contact.name)}
          many={messages.length}
          unread={unread}
          sought={sought}
          onRead={() => chat.read(peer)}
        >
          {messages.map((message) => (
            <Message
              key={toHex(message.content.id)}
              message={message}
              conversation={conversation}
              files={chat.files}
              isSought={toHex(message.content.id) === sought}
              onResend={() => chat.resend(peer)}
              onReply={() => setAbout({ kind: Kind.reply, message })}
              onEdit={() => setAbout({ kind: Kind.edit, message })}
              onTakeBack={() => void chat.sayOf(peer, Kind.delete, message.content.id).catch(tell)}
              onLook={() => setLooked(toHex(message.content.id))}
            />
          ))}
        </Log>
        <p className={styles.typing} role="status">
          {isTyping ? say.typing(contact.name) : renewalOf(conversation)}
        </p>
        <Preparing peer={peer} all={conversation.files} files={chat.files} />
        <Aborted conversation={conversation} />
        {!isBlocked && isMet && (
          <Composer
            words={toOthers(contact.name)}
            onType={() => void chat.typing(peer).catch(tell)}
            about={about}
            onLeave={() => setAbout(null)}
            onSay={async (words) => {
              if (about) await chat.sayOf(peer, about.kind, about.message.content.id, words);
              else await chat.say(peer, words);
              setAbout(null);
            }}
            onAttach={(file) => chat.attach(peer, file.name, file)}
          />
        )}
        {isBlocked && <Blocked chat={chat} conversation={conversation} />}
        {!isBlocked && !isMet && (
          <p className={own.notMet}>
            {contact.since > 0 ? known.anew(contact.name) : history.notMet(contact.name)}
          </p>
        )}
      </div>
      <Dialog opened={isComparing} onClose={() => setComparing(false)} title={say.safety}>
        <Safety chat={chat} conversation={conversation} />
      </Dialog>
      <Dialog
        side
        opened={shown !== undefined}
        onClose={() => setLooked(null)}
        title={say.panel.title}
      >
        {shown && (
          <Protection
            message={shown}
            records={conversation.records}
            session={standing.making === looked ? standing.session : null}
          />
        )}
      </Dialog>
    </Panel>
  );
}

/** A session was aborted, of ours or of theirs: unmistakable, and nothing is lost. */
function Aborted({ conversation }: { conversation: Talk }) {
  const { standing, warning, messages, contact } = conversation;
  if (standing.halt === 'aborted') {
    const [stuck] = messages.filter(isStuck);
    const { s, qber } = stuck?.aborted ?? {};
    return <Alarm title={say.abortedOurs} what={say.abortedOursWhat(decimal(s), percent(qber))} />;
  }
  if (!warning) return null;
  const { record } = warning;
  return (
    <Alarm
      title={say.aborted(contact.name)}
      what={record ? say.abortedWhat(decimal(record.s), percent(record.qber)) : say.abortedUnknown}
    />
  );
}

const isStuck = ({ ours, state, aborted }: MessageRecord) =>
  ours && state === 'unsent' && aborted !== undefined;

function Alarm({ title, what }: { title: string; what: string }) {
  return (
    <div className={styles.alarm} role="alert" data-level="RED">
      <LevelIcon level="RED" size={22} />
      <p>
        <strong>{title}</strong> {what}
      </p>
    </div>
  );
}
