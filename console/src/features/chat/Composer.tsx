import { ActionIcon, Button, Textarea } from '@mantine/core';
import IconAttach from '@tabler/icons-react/dist/esm/icons/IconPaperclip.mjs';
import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from 'react';
import { Kind } from '../../chat/protocol/content';
import { MAX_FILE_BYTES } from '../../chat/protocol/file';
import type { MessageRecord } from '../../chat/state/talk';
import { count } from '../../shared/format';
import { chat as say } from '../../texts/chat';
import styles from './Conversation.module.css';
import { reason, wordsOf } from './words';

/** The message that is answered or changed. */
export interface About {
  readonly kind: typeof Kind.reply | typeof Kind.edit;
  readonly message: MessageRecord;
}

interface ComposerProps {
  words: { write: string; send: string; attach: string };
  about: About | null;
  onLeave: () => void;
  onType?: () => void;
  onSay: (words: string) => Promise<void>;
  onAttach: (file: File) => Promise<void>;
}

/** What it says where others are to read it. */
export const toOthers = (name: string) => ({
  write: say.write(name),
  send: say.send,
  attach: say.attach,
});

/** A place to say something; Enter sends it, Shift and Enter make a new line. */
export function Composer(props: ComposerProps) {
  const { words: labels, about, onLeave, onType, onSay, onAttach } = props;
  const [words, setWords] = useState('');
  const [error, setError] = useState<string | null>(null);

  const files = useRef<HTMLInputElement>(null);

  const field = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    if (!about) return;
    if (about.kind === Kind.edit) setWords(wordsOf(about.message));
    field.current?.focus();
  }, [about]);

  const leave = () => {
    if (about?.kind === Kind.edit) setWords('');
    onLeave();
  };
  const done = async (work: () => Promise<void>) => {
    try {
      await work();
      setError(null);
    } catch (refused) {
      setError(reason(refused)); // the words stay where they are
    }
  };
  const send = async () => {
    if (words.trim() === '') return;
    await done(async () => {
      await onSay(words);
      setWords('');
    });
  };
  const attach = async (file: File | undefined) => {
    if (!file) return;
    if (file.size > MAX_FILE_BYTES) setError(say.tooLarge(count(MAX_FILE_BYTES), count(file.size)));
    else await done(() => onAttach(file));
    if (files.current) files.current.value = ''; // the same one may be chosen again
  };
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    void send();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape' && about) leave();
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send();
  };
  return (
    <form className={styles.composer} onSubmit={onSubmit}>
      {about && (
        <p className={styles.about}>
          <span>
            {about.kind === Kind.edit ? say.editing : say.replying}: {wordsOf(about.message)}
          </span>
          <Button size="compact-xs" variant="default" onClick={leave}>
            {say.cancel}
          </Button>
        </p>
      )}
      <input
        ref={files}
        type="file"
        hidden
        aria-label={labels.attach}
        onChange={(event) => void attach(event.currentTarget.files?.[0])}
      />
      <ActionIcon
        variant="default"
        size={36}
        aria-label={labels.attach}
        title={labels.attach}
        onClick={() => files.current?.click()}
      >
        <IconAttach size={18} aria-hidden />
      </ActionIcon>
      <Textarea
        ref={field}
        aria-label={labels.write}
        placeholder={labels.write}
        autosize
        minRows={1}
        maxRows={6}
        value={words}
        error={error}
        onChange={(event) => {
          setWords(event.currentTarget.value);
          onType?.();
        }}
        onKeyDown={onKeyDown}
      />
      <Button type="submit" disabled={words.trim() === ''}>
        {about?.kind === Kind.edit ? say.save : labels.send}
      </Button>
    </form>
  );
}
