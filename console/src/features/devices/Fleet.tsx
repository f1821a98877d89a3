import { Button, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { body, client } from '../../api/client';
import { keys } from '../../api/live';
import { count, duration } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { tell } from '../../shared/tell';
import { useSeconds } from '../../shared/useSeconds';
import { devices as say } from '../../texts/devices';
import { DeviceRow } from './DeviceRow';
import page from './DevicesPage.module.css';
import styles from './Fleet.module.css';
import type { Cloud, Invitation } from './queries';

interface FleetProps {
  cloud: Cloud;
  acts: boolean;
  find: string;
  onFind: (text: string) => void;
}

/** The devices that the site's cloud knows, those that are here first. */
export function Fleet({ cloud, acts, find, onFind }: FleetProps) {
  const [chosen, setChosen] = useState<string | null>(null);
  const now = useSeconds(true, 5);
  const open = cloud.invitations.filter(({ state }) => state === 'open');
  return (
    <Panel
      title={say.fleet}
      aside={
        <span className={page.note}>{say.fleetOf(count(cloud.connected), count(cloud.total))}</span>
      }
    >
      {(cloud.total > 8 || find !== '') && (
        <TextInput
          className={styles.search}
          aria-label={say.search}
          placeholder={say.search}
          maxLength={64}
          value={find}
          onChange={(event) => onFind(event.currentTarget.value)}
        />
      )}
      {cloud.devices.length === 0 ? (
        <p className={page.none}>{find === '' ? say.nobody : say.notFound}</p>
      ) : (
        <ul className={styles.devices}>
          {cloud.devices.map((device) => (
            <DeviceRow
              key={device.fingerprint}
              device={device}
              now={now}
              acts={acts}
              opened={device.fingerprint === chosen}
              onToggle={() => setChosen(device.fingerprint === chosen ? null : device.fingerprint)}
            />
          ))}
        </ul>
      )}
      {cloud.found > cloud.devices.length && (
        <p className={page.note}>{say.more(count(cloud.devices.length), count(cloud.found))}</p>
      )}
      {open.length > 0 && <Invitations open={open} now={now} acts={acts} />}
    </Panel>
  );
}

interface InvitationsProps {
  open: readonly Invitation[];
  now: number;
  acts: boolean;
}

function Invitations({ open, now, acts }: InvitationsProps) {
  const cache = useQueryClient();
  const cancel = useMutation({
    mutationFn: (id: string) => body(client.POST('/api/devices/invite/cancel', { body: { id } })),
    onSuccess: () => cache.invalidateQueries({ queryKey: keys.devices }),
    onError: tell,
  });
  return (
    <section className={styles.invitations}>
      <h3>{say.invitations}</h3>
      <ul>
        {open.map(({ id, name, expires }) => (
          <li key={id}>
            <strong>{name}</strong>
            <span>{say.until(duration(expires - now))}</span>
            {acts && (
              <Button
                size="compact-sm"
                variant="default"
                aria-label={`${say.takeBack}: ${name}`}
                onClick={() => cancel.mutate(id)}
              >
                {say.takeBack}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
