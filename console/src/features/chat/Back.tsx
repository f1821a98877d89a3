import { ActionIcon } from '@mantine/core';
import IconBack from '@tabler/icons-react/dist/esm/icons/IconX.mjs';
import { chat as say } from '../../texts/chat';
import styles from './Conversation.module.css';

/** Back to all people, where there is no room for them beside a conversation. */
export function Back({ onBack }: { onBack: () => void }) {
  return (
    <ActionIcon className={styles.narrow} variant="default" aria-label={say.back} onClick={onBack}>
      <IconBack size={18} aria-hidden />
    </ActionIcon>
  );
}
