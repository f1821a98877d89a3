import { ActionIcon, Button } from '@mantine/core';
import IconTakeBack from '@tabler/icons-react/dist/esm/icons/IconArrowBackUp.mjs';
import IconReply from '@tabler/icons-react/dist/esm/icons/IconMessageReply.mjs';
import IconEdit from '@tabler/icons-react/dist/esm/icons/IconPencil.mjs';
import { type Files, placeOf } from '../../chat/engine/files';
import type { Conversation as Talk } from '../../chat/engine/view';
import { equal } from '../../chat/protocol/bytes';
import { Kind, whenOf } from '../../chat/protocol/content';
import { readSmallFile } from '../../chat/protocol/file';
import { type MessageRecord, recordOf } from '../../chat/state/talk';
import { count, dateAndTime, decimal, duration, momentOf, percent } from '../../shared/format';
import { toHex } from '../../shared/merkle';
import { saveBlob } from '../../shared/save';
import { chat as say } from '../../texts/chat';
import { files as sayFile } from '../../texts/files';
import { history } from '../../texts/history';
import { notes } from '../../texts/notes';
import { Attachment } from './Attachment';
import styles from './Message.module.css';
import { Line } from './Unfolding';
import { padBytes, padSource, wordsOf } from './words';

interface MessageProps {
  message: MessageRecord;
  conversation: Talk;
  files: Files;
  /** Of a group: whose words these are, and what is told of the copies. */
  who?: string;
  note?: string | null;
  /** Whether it is a note to ourselves, which went nowhere. */
  isNote?: boolean;
  isSought: boolean;
  onResend?: () => void;
  onReply: () => void;
  onEdit: () => void;
  onTakeBack: () => void;
  /** Show what protected it. */
  onLook?: () => void;
}

/** One message: the words, how far it has come, and what it was protected by. */
export function Message(props: MessageProps) {
  const { message, conversation, files, who, note, isNote, isSought, onResend, onLook } = props;
  const words = isNote ? notes : say;
  const { content, ours, state, edited, deleted, brought } = message;
  const { contact, messages } = conversation;
  const { target } = content;
  const about = target && messages.find((each) => equal(each.content.id, target));
  const isFile = content.kind === Kind.file && !deleted && !brought;
  const large = deleted ? undefined : conversation.files.get(placeOf(content.id, ours));
  const isStuck = state === 'unsent' && conversation.standing.halt !== null;
  return (
    <article
      className={styles.message}
      data-message={toHex(content.id)}
      data-sought={isSought || undefined}
      data-ours={ours || undefined}
      data-stuck={isStuck || state === 'refused' || undefined}
    >
      <h3 className={styles.who}>
        {!isNote && <bdi>{ours ? say.you : (who ?? contact.name)}</bdi>}
        <time
          dateTime={new Date(whenOf(content)).toISOString()}
          title={dateAndTime(whenOf(content) / 1000)}
        >
          {momentOf(whenOf(content) / 1000)}
        </time>
      </h3>
      {about && <blockquote dir="auto">{wordsOf(about)}</blockquote>}
      <p className={styles.words} dir="auto">
        {deleted ? <em>{words.deleted}</em> : wordsOf(message)}
      </p>
      {isFile && (
        <Button
          size="compact-sm"
          variant="default"
          onClick={() => {
            const { name, bytes } = readSmallFile(content.text);
            saveBlob(name, new Blob([bytes]));
          }}
        >
          {sayFile.save}
        </Button>
      )}
      {large && <Attachment peer={conversation.peer} file={large} files={files} />}
      <p className={styles.meta}>
        <Chip message={message} records={conversation.records} onLook={onLook} />
        {brought && brought.size !== null && <span>{history.elsewhere}</span>}
        {edited && !deleted && <span>{say.edited}</span>}
        {content.timerS ? <span>{words.disappears(duration(content.timerS))}</span> : null}
        {ours && !isNote && (
          <Standing message={message} conversation={conversation} onLook={onLook} />
        )}
        {note && <span>{note}</span>}
        {isStuck && (
          <Button size="compact-xs" variant="default" onClick={onResend}>
            {say.tryNow}
          </Button>
        )}
        {!deleted && <Actions {...props} />}
      </p>
    </article>
  );
}

/** What can be done about a message; seen when it is pointed at, or has the focus. */
function Actions({ message, isNote, onReply, onEdit, onTakeBack }: MessageProps) {
  const { ours, content, brought } = message;
  const isText = content.kind === Kind.text || content.kind === Kind.reply;
  const isElsewhere = brought !== undefined && !isNote;
  const takeBack = isElsewhere ? history.forget : (isNote ? notes : say).takeBack;
  const actions = [
    { label: say.reply, Icon: IconReply, run: onReply, isThere: true },
    { label: say.edit, Icon: IconEdit, run: onEdit, isThere: ours && isText && !isElsewhere },
    { label: takeBack, Icon: IconTakeBack, run: onTakeBack, isThere: ours },
  ];
  return (
    <span className={styles.actions}>
      {actions
        .filter(({ isThere }) => isThere)
        .map(({ label, Icon, run }) => (
          <ActionIcon
            key={label}
            size={22}
            variant="subtle"
            color="gray"
            aria-label={label}
            title={label}
            onClick={run}
          >
            <Icon size={15} aria-hidden />
          </ActionIcon>
        ))}
    </span>
  );
}

interface ChipProps {
  message: MessageRecord;
  records: Talk['records'];
  onLook: (() => void) | undefined;
}

/** What protected it, in a few letters; the rest opens beside the conversation. */
function Chip({ message, records, onLook }: ChipProps) {
  const record = recordOf(message, records);
  if (message.protections.length === 0 && !record) return null;
  const source = padSource(message);
  const isLarge = message.content.kind === Kind.fileKey;
  const ofFile = source === null ? sayFile.chip : sayFile.chipPad;
  const ofWords = source === null ? say.postQuantum : say.chip(count(padBytes(message)));
  return (
    <button
      type="button"
      className={styles.chip}
      data-level={record?.verdict === 'abort' ? 'RED' : undefined}
      title={say.chipWhat}
      onClick={onLook}
    >
      {message.protections.length > 0 && (isLarge ? ofFile : ofWords)}{' '}
      {record && <span>{say.chipSession(decimal(record.s), percent(record.qber))}</span>}
    </button>
  );
}

interface StandingProps {
  message: MessageRecord;
  conversation: Talk;
  onLook: (() => void) | undefined;
}

/** How far a message of ours has come; while its session is under way, that. */
function Standing({ message, conversation, onLook }: StandingProps) {
  const { standing, trouble } = conversation;
  const { state, content } = message;
  if (state === 'unsent') {
    const isMaking = standing.making === toHex(content.id);
    return (
      <>
        {standing.halt && (
          <span data-level="RED">
            {say.halts[standing.halt]}
            {isMaking && ` · ${say.makingAgain}`}
          </span>
        )}
        {isMaking && (
          <button
            type="button"
            className={`${styles.chip} ${styles.under}`}
            title={say.now.what}
            onClick={onLook}
          >
            {standing.parts > 1 && (
              <span>{say.part(count(standing.part), count(standing.parts))}</span>
            )}
            <Line session={standing.session} />
          </button>
        )}
        {!standing.halt && !isMaking && <span className={styles.making}>{say.queued}</span>}
      </>
    );
  }
  if (state === 'waiting' && trouble)
    return <span data-level="YELLOW">{say.troubles[trouble]}</span>;
  return <span data-level={state === 'refused' ? 'RED' : undefined}>{say.states[state]}</span>;
}
