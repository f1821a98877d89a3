import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import type { Conversation as Talk } from '../../chat/engine/view';
import { Dialog } from '../../shared/Dialog';
import { known as say } from '../../texts/known';
import styles from './ChatPage.module.css';
import own from './Conversation.module.css';
import { useWork } from './useWork';

interface KnownProps {
  chat: Chat;
  conversation: Talk;
}

/** What we call somebody, and hearing them no more. */
export function Known({ chat, conversation }: KnownProps) {
  const { contact, isBlocked } = conversation;
  const [asked, setAsked] = useState<'rename' | 'block' | null>(null);
  const close = () => setAsked(null);
  const inside = { chat, conversation, onDone: close };
  return (
    <>
      <Button size="xs" variant="default" onClick={() => setAsked('rename')}>
        {say.rename}
      </Button>
      {!isBlocked && (
        <Button size="xs" variant="default" onClick={() => setAsked('block')}>
          {say.block}
        </Button>
      )}
      <Dialog opened={asked === 'rename'} onClose={close} title={say.renameTitle(contact.name)}>
        <Rename {...inside} />
      </Dialog>
      <Dialog opened={asked === 'block'} onClose={close} title={say.blockTitle(contact.name)}>
        <Block {...inside} />
      </Dialog>
    </>
  );
}

interface InsideProps extends KnownProps {
  onDone: () => void;
}

function Rename({ chat, conversation: { peer, contact }, onDone }: InsideProps) {
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

/** It is said what blocking does before it is done. */
function Block({ chat, conversation: { peer, contact }, onDone }: InsideProps) {
  const { busy, problem, run } = useWork();
  const block = async () => {
    if (await run('block', () => chat.requests.block(peer))) onDone();
  };
  return (
    <div className={styles.form}>
      <p>{say.blockWhat(contact.name)}</p>
      <p>{say.blockStays}</p>
      <p role="alert" hidden={!problem}>
        {problem}
      </p>
      <Button color="red" loading={busy !== null} onClick={() => void block()}>
        {say.blockSubmit(contact.name)}
      </Button>
    </div>
  );
}

/** In the place of a field to write: we do not hear them. */
export function Blocked({ chat, conversation: { peer, contact } }: KnownProps) {
  const { busy, problem, run } = useWork();
  return (
    <div className={own.blocked}>
      <p>{say.blocked(contact.name)}</p>
      <Button
        size="compact-sm"
        variant="default"
        loading={busy !== null}
        onClick={() => void run('unblock', () => chat.requests.unblock(peer))}
      >
        {say.unblock(contact.name)}
      </Button>
      <p role="alert" hidden={!problem}>
        {problem}
      </p>
    </div>
  );
}
