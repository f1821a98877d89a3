import { Button, TextInput } from '@mantine/core';
import { useState } from 'react';
import { Dialog } from '../../shared/Dialog';
import { devices } from '../../texts/devices';
import styles from './Confirm.module.css';

interface ConfirmProps {
  opened: boolean;
  onClose: () => void;
  /** What must be typed. */
  name: string;
  title: string;
  what: string;
  label: string;
  action: string;
  onConfirm: () => void;
}

/** For what cannot be taken back: nobody types a name by accident. */
export function Confirm({
  opened,
  onClose,
  name,
  title,
  what,
  label,
  action,
  onConfirm,
}: ConfirmProps) {
  return (
    <Dialog opened={opened} onClose={onClose} title={title}>
      <Typed {...{ name, what, label, action, onClose, onConfirm }} />
    </Dialog>
  );
}

type TypedProps = Omit<ConfirmProps, 'opened' | 'title'>;

function Typed({ name, what, label, action, onClose, onConfirm }: TypedProps) {
  const [typed, setTyped] = useState('');
  return (
    <form
      className={styles.form}
      onSubmit={(event) => {
        event.preventDefault();
        if (typed === name) onConfirm();
      }}
    >
      <p>{what}</p>
      <TextInput
        label={label}
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
      />
      <div className={styles.buttons}>
        <Button variant="default" onClick={onClose}>
          {devices.cancel}
        </Button>
        <Button type="submit" color="red" disabled={typed !== name}>
          {action}
        </Button>
      </div>
    </form>
  );
}
