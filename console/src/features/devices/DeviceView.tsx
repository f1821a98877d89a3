import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import IconAtom from '@tabler/icons-react/dist/esm/icons/IconAtom2.mjs';
import IconAtomOff from '@tabler/icons-react/dist/esm/icons/IconAtomOff.mjs';
import IconShield from '@tabler/icons-react/dist/esm/icons/IconShieldLock.mjs';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { body, client } from '../../api/client';
import { keys } from '../../api/live';
import { count, dateAndTime } from '../../shared/format';
import { Simulated } from '../../shared/status';
import { tell } from '../../shared/tell';
import { texts } from '../../shared/texts';
import { devices as say } from '../../texts/devices';
import { Confirm } from './Confirm';
import styles from './DeviceView.module.css';
import type { Device } from './queries';
import { ReadingsView } from './ReadingsView';

/** Everything that the cloud knows of a device. */
export function DeviceView({ device, acts }: { device: Device; acts: boolean }) {
  const { name, fingerprint, protection, connected, since, transport } = device;
  const facts: [string, ReactNode][] = [
    [
      say.fingerprint,
      <span className="mono" key="fingerprint">
        {fingerprint}
      </span>,
    ],
    [say.arrived, count(device.readings)],
    [say.waiting, count(device.waiting)],
  ];
  if (protection) {
    facts.push([say.cipher, protection.cipher]);
    facts.push([say.refreshes, count(protection.refreshes)]);
    if (protection.resumed > 0) facts.push([say.resumed, count(protection.resumed)]);
  }
  if (since !== null) facts.push([say.began, dateAndTime(since)]);
  if (transport) facts.push([say.carrier, say.transports[transport]]);
  return (
    <div className={styles.device}>
      <section>
        <h3>{connected || !protection ? say.session : say.lastSession}</h3>
        {protection ? <Protection protection={protection} /> : <p>{say.noSession}</p>}
        <dl className={styles.facts}>
          {facts.map(([what, value]) => (
            <div key={what}>
              <dt>{what}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
        {device.listed ? acts && <Remove device={device} /> : <p>{say.unlisted}</p>}
      </section>
      <ReadingsView device={fingerprint} name={name} />
    </div>
  );
}

function Protection({ protection }: { protection: NonNullable<Device['protection']> }) {
  const { qkd_source: source, qkd_keys: keysMixed } = protection;
  return (
    <ul className={styles.protection}>
      <li>
        <IconShield size={20} stroke={1.7} className={styles.holds} aria-hidden />
        <div>
          <strong>{say.hybrid}</strong>
          <p>{say.hybridWhat}</p>
        </div>
      </li>
      {source === null ? (
        <li>
          <IconAtomOff size={20} stroke={1.7} aria-hidden />
          <div>
            <strong>{say.noQuantum}</strong>
            <p>{say.noQuantumWhat}</p>
          </div>
        </li>
      ) : (
        <li>
          <IconAtom size={20} stroke={1.7} className={styles.quantum} aria-hidden />
          <div>
            <strong>{say.quantum(count(keysMixed))}</strong>{' '}
            {source === 'simulated' && <Simulated />}
            <p>{say.quantumWhat(source)}</p>
          </div>
        </li>
      )}
    </ul>
  );
}

function Remove({ device: { name, fingerprint } }: { device: Device }) {
  const cache = useQueryClient();
  const [sure, setSure] = useState(false);
  const remove = useMutation({
    mutationFn: () => body(client.POST('/api/devices/remove', { body: { fingerprint } })),
    onSuccess: () => {
      notifications.show({
        message: say.removed(name),
        closeButtonProps: { 'aria-label': texts.close },
      });
      return cache.invalidateQueries({ queryKey: keys.devices });
    },
    onError: tell,
  });
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        loading={remove.isPending}
        onClick={() => setSure(true)}
      >
        {say.remove}
      </Button>
      <Confirm
        opened={sure}
        onClose={() => setSure(false)}
        name={name}
        title={say.removeTitle(name)}
        what={say.removeWhat}
        label={say.removeConfirm(name)}
        action={say.remove}
        onConfirm={() => {
          setSure(false);
          remove.mutate();
        }}
      />
    </>
  );
}
