import { useEffect, useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import { tell } from '../../shared/tell';
import styles from './Conversation.module.css';

/** The sixty digits that we and somebody else compare. */
export function SafetyNumber({ chat, peer }: { chat: Chat; peer: string }) {
  const [number, setNumber] = useState('');
  useEffect(() => {
    chat.safety(peer).then(setNumber).catch(tell);
  }, [chat, peer]);
  return (
    <p className={styles.number}>
      {number.split(' ').map((group, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the groups of a number never move
        <span key={at}>{group}</span>
      ))}
    </p>
  );
}
