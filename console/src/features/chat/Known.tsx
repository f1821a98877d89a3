import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import type { Conversation as Talk } from '../../chat/engine/view';
import { Dialog } from '../../shared/Dialog';
import { known as say } from '../../texts/known';
import styles from './ChatPage.module.css';
import { useWork } from './useWork';

interface KnownProps {
  chat: Chat;
  conversation: Talk;
}

/** What we call somebody. */
export function Known({ chat, conversation }: KnownProps) {
  const { name } = conversation.contact;
  const [isNaming, setNaming] = useState(false);
  const close = () => setNaming(false);
  return (
    <>
      <Button size="compact-sm" variant="default" onClick={() => setNaming(true)}>
        {say.rename}
      </Button>
      <Dialog opened={isNaming} onClose={close} title={say.renameTitle(name)}>
        <Rename chat={chat} conversation={conversation} onDone={close} />
      </Dialog>
    </>
  );
}

interface RenameProps extends KnownProps {
  onDone: () => void;
}

function Rename({ chat, conversation: { peer, contact }, onDone }: RenameProps) {
  const { busy, problem, run } = useWork();
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get('name') ?? '');
    if (await run('rename', () => chat.rename(peer, name))) onDone();
  };
  return (
    <form className={styles.form} onSubmit={(event) => void submit(event)}>
      <p>{say.renameLead}</p>
      <TextInput
        name="name"
        label={say.name}
        defaultValue={contact.name}
        required
        maxLength={240}
        autoComplete="off"
        error={problem}
      />
      <Button type="submit" loading={busy !== null}>
        {say.submit}
      </Button>
    </form>
  );
}
