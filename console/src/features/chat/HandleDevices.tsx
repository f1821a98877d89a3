import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { Chat } from '../../chat/engine/chat';
import type { Device } from '../../chat/protocol/accounts';
import { dateAndTime } from '../../shared/format';
import { toHex } from '../../shared/merkle';
import { texts } from '../../shared/texts';
import { handle as say } from '../../texts/handle';
import styles from './Handle.module.css';
import { Part, Problem } from './HandlePart';
import { useWork } from './useWork';

/** Where the account is logged in; the relay is asked once this is opened. */
export function Devices({ chat: { handle } }: { chat: Chat }) {
  const { busy, problem, run } = useWork();
  const [devices, setDevices] = useState<readonly Device[] | null>(null);
  /** Do something, and show how it is then. */
  const then = (what: string, work: () => Promise<void> = async () => {}) =>
    run(what, async () => {
      await work();
      setDevices(await handle.devices());
    });
  return (
    <Part title={say.devices} onOpen={() => void then('list')}>
      <div aria-busy={busy !== null}>
        <p>{say.devicesLead}</p>
        {!devices && !problem && <p role="status">{texts.shell.connecting}</p>}
        {devices && (
          <ul className={styles.devices} aria-label={say.devices}>
            {devices.map((each) => (
              <Row
                key={toHex(each.device)}
                device={each}
                isBusy={busy !== null}
                onName={(name) => then('name', () => handle.nameDevice(each.device, name))}
                onEnd={() => void then('end', () => handle.logOutDevice(each.device))}
              />
            ))}
          </ul>
        )}
        <Problem>{problem}</Problem>
      </div>
    </Part>
  );
}

interface RowProps {
  device: Device;
  isBusy: boolean;
  /** Whether it went. */
  onName: (name: string) => Promise<boolean>;
  onEnd: () => void;
}

function Row({ device, isBusy, onName, onEnd }: RowProps) {
  const { name, since, used, expires, isThis, publishes } = device;
  const [isNaming, setNaming] = useState(false);
  const marks = [isThis && say.isThis, publishes && say.publishes].filter((each) => each !== false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const typed = String(new FormData(event.currentTarget).get('name') ?? '');
    if (await onName(typed)) setNaming(false);
  };
  return (
    <li>
      <p>
        <bdi>{name}</bdi>
        {marks.length > 0 && <small>{marks.join(' · ')}</small>}
      </p>
      <p className={styles.hint}>
        {say.deviceTimes(dateAndTime(since), dateAndTime(used), dateAndTime(expires))}
      </p>
      {isNaming ? (
        <form className={styles.row} onSubmit={(event) => void submit(event)}>
          <TextInput
            name="name"
            aria-label={say.deviceName}
            defaultValue={name}
            required
            maxLength={64}
            autoComplete="off"
          />
          <Button type="submit" variant="default" disabled={isBusy}>
            {say.deviceSet}
          </Button>
        </form>
      ) : (
        <div className={styles.row}>
          <Button
            size="compact-sm"
            variant="default"
            disabled={isBusy}
            onClick={() => setNaming(true)}
          >
            {say.nameDevice(name)}
          </Button>
          {!isThis && (
            <Button size="compact-sm" variant="default" disabled={isBusy} onClick={onEnd}>
              {say.endDevice(name)}
            </Button>
          )}
        </div>
      )}
    </li>
  );
}
