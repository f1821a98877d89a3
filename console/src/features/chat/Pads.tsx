import { NativeSelect } from '@mantine/core';
import type { Chat } from '../../chat/engine/chat';
import type { Conversation as Talk } from '../../chat/engine/view';
import type { Contact } from '../../chat/state/contacts';
import { count } from '../../shared/format';
import { tell } from '../../shared/tell';
import { chat as say } from '../../texts/chat';
import styles from './Conversation.module.css';
import { Known } from './Known';
import { Renewal } from './Renewal';
import { Timer } from './Timer';

/** Of a message of 100 letters: the letters, and what its tag takes. */
const USUAL_BYTES = 116;

const POLICIES = ['prefer', 'require', 'off'] as const;

interface PadsProps {
  id: string;
  /** Whether they are shown where there is little room. */
  isOpen: boolean;
  chat: Chat;
  conversation: Talk;
}

/** Under what pads what we say goes, and how many are left, or why there are none; what they are called. */
export function Pads({ id, isOpen, chat, conversation }: PadsProps) {
  const { peer, contact, padLeft, isMet } = conversation;
  const set = (to: Partial<Pick<Contact, 'mode' | 'policy'>>) =>
    void chat.set(peer, to).catch(tell);
  const hasKeys = chat.hasKeys && Boolean(contact.card?.sae);
  const acts = (
    <div className={styles.acts}>
      {isMet && <Renewal chat={chat} conversation={conversation} />}
      <Known chat={chat} conversation={conversation} />
    </div>
  );
  if (!isMet)
    return (
      <div className={styles.pads} id={id} data-open={isOpen || undefined}>
        {acts}
      </div>
    );
  return (
    <div className={styles.pads} id={id} data-open={isOpen || undefined}>
      {!hasKeys && <p>{chat.hasKeys ? say.noKeysThere : say.noKeysHere}</p>}
      {hasKeys && contact.policy !== 'off' && (
        <NativeSelect
          size="xs"
          label={say.mode}
          value={contact.mode}
          onChange={(event) =>
            set({ mode: event.currentTarget.value === 'pool' ? 'pool' : 'fresh' })
          }
          data={Object.entries(say.modes).map(([value, label]) => ({ value, label }))}
        />
      )}
      <NativeSelect
        size="xs"
        label={say.policy}
        value={contact.policy}
        onChange={(event) =>
          set({ policy: POLICIES.find((each) => each === event.currentTarget.value) ?? 'prefer' })
        }
        data={Object.entries(say.policies).map(([value, label]) => ({ value, label }))}
      />
      <Timer timerS={contact.timerS} onChoose={(timerS) => chat.setTimer(peer, timerS)} />
      {acts}
      {hasKeys && contact.mode === 'pool' && contact.policy !== 'off' && (
        <p>
          {padLeft > 0
            ? say.padLeft(count(padLeft), count(Math.floor(padLeft / USUAL_BYTES)))
            : say.padNone}
        </p>
      )}
    </div>
  );
}
