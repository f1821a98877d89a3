import type { MessageRecord } from '../../chat/state/talk';
import { count } from '../../shared/format';
import { toHex } from '../../shared/merkle';
import { chat as say } from '../../texts/chat';
import { notes } from '../../texts/notes';
import styles from './ChatPage.module.css';
import { Here } from './Here';
import { wordsOf } from './words';

interface EntryProps {
  name: string;
  /** Heard from in the last minute. */
  isHere?: boolean;
  unread: number;
  /** What is shown of what was said: what was searched for, or the last. */
  message: MessageRecord | undefined;
  /** Who said it, in a group; in notes nobody is named. */
  author?: string | null | undefined;
  /** What stands there while nothing was said. */
  none?: string;
  isChosen: boolean;
  /** Show it, at this message where it was searched for. */
  onChoose: () => void;
}

/** A conversation in the list: of two, or of a group. */
export function Entry(props: EntryProps) {
  const {
    name,
    isHere = false,
    unread,
    message,
    author,
    none = say.none,
    isChosen,
    onChoose,
  } = props;
  return (
    <li>
      <button type="button" aria-current={isChosen || undefined} onClick={onChoose}>
        <strong>
          <bdi>{name}</bdi>
          {isHere && <Here />}
        </strong>
        {unread > 0 && <span className={styles.unread}>{say.unread(count(unread))}</span>}
        <span className={styles.last}>{message ? last(message, author) : none}</span>
      </button>
    </li>
  );
}

function last(message: MessageRecord, author: string | null | undefined): string {
  const words = message.deleted ? say.deleted : wordsOf(message);
  if (author === null) return message.deleted ? notes.deleted : words;
  const who = message.ours ? say.you : author;
  return who ? `${who}: ${words}` : words;
}

/** Where a search leads: the id of the message that it found, in hexadecimal. */
export const place = (hit: MessageRecord | null): string | null => hit && toHex(hit.content.id);
