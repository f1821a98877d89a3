import { Switch } from '@mantine/core';
import { useEffect, useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import type { Conversation as Talk } from '../../chat/engine/view';
import { tell } from '../../shared/tell';
import { chat as say } from '../../texts/chat';
import { Code } from './Code';
import styles from './Conversation.module.css';

interface SafetyProps {
  chat: Chat;
  conversation: Talk;
}

/** What two people compare: sixty digits, or our code for who can scan it. */
export function Safety({ chat, conversation }: SafetyProps) {
  const { peer, contact } = conversation;
  const [number, setNumber] = useState('');
  useEffect(() => {
    chat.safety(peer).then(setNumber).catch(tell);
  }, [chat, peer]);
  return (
    <div className={styles.safety}>
      <p>{say.safetyLead(contact.name)}</p>
      <p className={styles.number}>
        {number.split(' ').map((group, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the groups of a number never move
          <span key={at}>{group}</span>
        ))}
      </p>
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
