import { Button, PasswordInput, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { PasswordsDiffer } from '../../chat/engine/account';
import type { Chat } from '../../chat/engine/chat';
import { handle as say } from '../../texts/handle';
import styles from './Handle.module.css';
import { useWork } from './useWork';

interface HandleDoorProps {
  chat: Chat;
  /** The handle of which we are logged out. */
  before: string | null;
}

/** Have a handle, or log in to one. */
export function HandleDoor({ chat, before }: HandleDoorProps) {
  const [way, setWay] = useState<'signUp' | 'logIn'>(before ? 'logIn' : 'signUp');
  const { busy, problem, run } = useWork();
  const isNew = way === 'signUp';

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const typed = (name: string) => String(data.get(name) ?? '');
    void run(way, async () => {
      if (!isNew) return chat.handle.logIn(typed('handle'), typed('password'));
      if (typed('password') !== typed('repeat')) throw new PasswordsDiffer();
      return chat.handle.signUp(typed('handle'), typed('password'), typed('invitation'));
    });
  };
  return (
    <div className={styles.own}>
      <p>{before ? say.out(before) : say.lead}</p>
      <form key={way} className={styles.own} onSubmit={submit}>
        <TextInput
          name="handle"
          label={say.label}
          description={isNew ? say.hint : undefined}
          defaultValue={before ?? ''}
          required
          maxLength={33}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
        />
        <PasswordInput
          name="password"
          label={say.password}
          description={isNew ? say.passwordHint : undefined}
          required
          maxLength={1024}
          autoComplete={isNew ? 'new-password' : 'current-password'}
        />
        {isNew && (
          <>
            <PasswordInput
              name="repeat"
              label={say.repeat}
              required
              maxLength={1024}
              autoComplete="new-password"
            />
            <TextInput
              name="invitation"
              label={say.invitation}
              description={say.invitationHint}
              maxLength={64}
              autoComplete="off"
              spellCheck={false}
            />
          </>
        )}
        <p role="alert" className={styles.problem} hidden={!problem}>
          {problem}
        </p>
        <Button type="submit" loading={busy !== null}>
          {say[way]}
        </Button>
        <p role="status" className={styles.hint} hidden={busy === null}>
          {say.works}
        </p>
      </form>
      {!before && (
        <Button
          variant="transparent"
          size="compact-sm"
          px={0}
          className={styles.other}
          disabled={busy !== null}
          onClick={() => setWay(isNew ? 'logIn' : 'signUp')}
        >
          {isNew ? say.haveOne : say.haveNone}
        </Button>
      )}
    </div>
  );
}
