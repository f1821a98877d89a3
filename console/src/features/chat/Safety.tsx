import { Switch } from '@mantine/core';
import type { Chat } from '../../chat/engine/chat';
import type { Conversation as Talk } from '../../chat/engine/view';
import { tell } from '../../shared/tell';
import { chat as say } from '../../texts/chat';
import { Code } from './Code';
import styles from './Conversation.module.css';
import { SafetyNumber } from './SafetyNumber';

interface SafetyProps {
  chat: Chat;
  conversation: Talk;
}

/** What two people compare: sixty digits, or our code for who can scan it. */
export function Safety({ chat, conversation }: SafetyProps) {
  const { peer, contact } = conversation;
  return (
    <div className={styles.safety}>
      <p>{say.safetyLead(contact.name)}</p>
      <SafetyNumber chat={chat} peer={peer} />
      <Code says={chat.safetyCode(peer)} label={say.safetyCode(contact.name)} />
      <Switch
        label={say.verify}
        checked={contact.isVerified}
        onChange={(event) =>
          void chat.set(peer, { isVerified: event.currentTarget.checked }).catch(tell)
        }
      />
    </div>
  );
}
