import { Button, FileInput, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { type Folder, MOST_BYTES, unpack } from '../../admission/archive';
import { KeyUnusable } from '../../admission/keys';
import { canonical } from '../../admission/register';
import type { Schemas } from '../../api/client';
import { register as say } from '../../texts/register';
import styles from './RegisterPage.module.css';
import type { Registering } from './useRegistering';

interface FormProps {
  door: Schemas['DoorView'];
  registering: Registering;
}

/** A name and an invitation, or the keys of a registration that was begun. */
export function Form({ door: { server, gate }, registering: { folder, ask } }: FormProps) {
  const [name, setName] = useState('');
  const [token, setToken] = useState('');
  const [wrong, setWrong] = useState<{ name?: string; file?: string }>({});
  const [opened, setOpened] = useState<Folder | null>(null);
  const plain = canonical(name);
  // Keys that were made for a name are used again for it: others would be somebody else's.
  const own = opened ?? (folder?.name === plain ? folder : null);

  async function open(file: File | null) {
    setWrong({});
    setOpened(null);
    if (file === null) return;
    try {
      if (file.size > MOST_BYTES) throw new KeyUnusable('too long');
      const found = await unpack(new Uint8Array(await file.arrayBuffer()));
      setOpened(found);
      setName(found.name);
    } catch (error) {
      if (!(error instanceof KeyUnusable)) throw error;
      setWrong({ file: say.notAFile });
    }
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    setWrong(plain === null ? { name: say.notAName } : {});
    if (plain !== null)
      ask.mutate({ server, name: plain, token: token.trim() || null, folder: own });
  }

  return (
    <form className={styles.form} onSubmit={submit}>
      <p className={styles.note}>
        {say.server(server)} {say.gates[gate]}
      </p>
      <TextInput
        label={say.name}
        description={say.nameWhat}
        error={wrong.name}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        readOnly={opened !== null}
        maxLength={33}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        required
      />
      {(gate === 'token' || gate === 'either') && (
        <TextInput
          label={say.token}
          description={gate === 'either' ? say.tokenWhat : null}
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
          maxLength={128}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          required={gate === 'token' && opened === null}
        />
      )}
      <FileInput
        label={say.file}
        placeholder={say.fileChoose}
        description={opened ? say.fileTaken(opened.name) : say.fileWhat}
        error={wrong.file}
        accept=".tar,application/x-tar"
        onChange={(file) => void open(file)}
        clearable
        clearButtonProps={{ 'aria-label': say.fileLeft }}
      />
      <div className={styles.buttons}>
        <Button type="submit" loading={ask.isPending}>
          {own ? say.again : say.submit}
        </Button>
      </div>
    </form>
  );
}
