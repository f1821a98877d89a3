import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import type { Conversation as Talk } from '../../chat/engine/view';
import { Dialog } from '../../shared/Dialog';
import { tell } from '../../shared/tell';
import { renewal as say } from '../../texts/renewal';
import styles from './ChatPage.module.css';

interface RenewalProps {
  chat: Chat;
  conversation: Talk;
}

/** Ask the other side for a new session, once it was said what that does. */
export function Renewal({ chat, conversation }: RenewalProps) {
  const { peer, contact } = conversation;
  const [isAsking, setAsking] = useState(false);
  const ask = () => {
    setAsking(false);
    chat.renewSession(peer).catch(tell);
  };
  return (
    <>
      <Button size="xs" variant="default" onClick={() => setAsking(true)}>
        {say.open}
      </Button>
      <Dialog opened={isAsking} onClose={() => setAsking(false)} title={say.title}>
        <div className={styles.form}>
          <p>{say.what(contact.name)}</p>
          <p>{say.stays}</p>
          <Button onClick={ask}>{say.ask(contact.name)}</Button>
        </div>
      </Dialog>
    </>
  );
}

/** What has become of it, in words. */
export function renewalOf({ renewal, contact }: Talk): string | null {
  return renewal && say.states[renewal](contact.name);
}
