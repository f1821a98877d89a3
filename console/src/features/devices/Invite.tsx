import { Button, CopyButton, NativeSelect, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { FormEvent } from 'react';
import { body, client, type Schemas } from '../../api/client';
import { keys } from '../../api/live';
import { Dialog } from '../../shared/Dialog';
import { tell } from '../../shared/tell';
import { texts } from '../../shared/texts';
import { Command } from '../../shared/Words';
import { devices as say } from '../../texts/devices';
import styles from './Invite.module.css';
import { pathOf } from './qr';

const QUIET = 4;

interface InviteProps {
  opened: boolean;
  onClose: () => void;
}

/** A one-time code by which a device enrols itself, typed or scanned. */
export function Invite({ opened, onClose }: InviteProps) {
  const cache = useQueryClient();
  const make = useMutation({
    mutationFn: (asked: Schemas['InviteDevice']) =>
      body(client.POST('/api/devices/invite', { body: asked })),
    onSuccess: () => cache.invalidateQueries({ queryKey: keys.devices }),
    onError: tell,
    // The code is kept nowhere, this page's memory included.
    gcTime: 0,
  });
  const close = () => {
    make.reset();
    onClose();
  };
  const made = make.data;
  return (
    <Dialog
      opened={opened}
      onClose={close}
      title={made ? say.codeTitle(made.invitation.name) : say.invite}
    >
      {made ? (
        <Made made={made} onAgain={make.reset} />
      ) : (
        <Form busy={make.isPending} onMake={make.mutate} />
      )}
    </Dialog>
  );
}

interface FormProps {
  busy: boolean;
  onMake: (asked: Schemas['InviteDevice']) => void;
}

function Form({ busy, onMake }: FormProps) {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    onMake({
      name: String(form.get('device')).trim(),
      minutes: Number(form.get('minutes')),
    });
  };
  return (
    <form className={styles.form} onSubmit={submit}>
      <p>{say.inviteLead}</p>
      <TextInput
        name="device"
        label={say.name}
        maxLength={60}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        data-autofocus
        required
      />
      <NativeSelect
        name="minutes"
        label={say.minutes}
        data={Object.entries(say.lives).map(([value, label]) => ({ value, label }))}
      />
      <div className={styles.buttons}>
        <Button type="submit" loading={busy}>
          {say.makeCode}
        </Button>
      </div>
    </form>
  );
}

function Made({ made, onAgain }: { made: Schemas['InvitedDevice']; onAgain: () => void }) {
  const command = `bellwire device enroll --code - --to ${made.at}`;
  return (
    <div className={styles.made}>
      <p>{say.codeWhat}</p>
      <Qr rows={made.qr} />
      <output className={styles.code} aria-label={say.code}>
        {made.code}
      </output>
      <div>
        <h3>{say.onDevice}</h3>
        <code className={styles.command}>
          <Command>{command}</Command>
        </code>
      </div>
      <div className={styles.buttons}>
        <Button variant="default" onClick={onAgain}>
          {say.another}
        </Button>
        <CopyButton value={made.code}>
          {({ copied, copy }) => (
            <Button onClick={copy}>{copied ? texts.copied : texts.copy}</Button>
          )}
        </CopyButton>
      </div>
    </div>
  );
}

/** Dark on light in every theme: that is what cameras look for. */
function Qr({ rows }: { rows: readonly string[] }) {
  const side = rows.length + 2 * QUIET;
  return (
    <svg
      className={styles.qr}
      viewBox={`${-QUIET} ${-QUIET} ${side} ${side}`}
      role="img"
      aria-label={say.qr}
      shapeRendering="crispEdges"
    >
      <rect x={-QUIET} y={-QUIET} width={side} height={side} fill="#fff" />
      <path d={pathOf(rows)} fill="#000" />
    </svg>
  );
}
