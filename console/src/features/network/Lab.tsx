import { Button, NativeSelect, Slider } from '@mantine/core';
import IconSpy from '@tabler/icons-react/dist/esm/icons/IconSpy.mjs';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { body, client, type Schemas } from '../../api/client';
import { keys } from '../../api/live';
import { percent } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { Simulated } from '../../shared/status';
import { texts } from '../../shared/texts';
import styles from './Lab.module.css';

const say = texts.network;
const nameOf = (kind: string) => say.kinds[kind] ?? kind;

/** The lab's hand on the link: let Eve in, send her away. */
export function Lab({ lab }: { lab: Schemas['LabView'] }) {
  const cache = useQueryClient();
  const [kind, setKind] = useState(lab.eve?.kind ?? lab.kinds[0] ?? '');
  const [share, setShare] = useState(100);
  const show = (next: Schemas['LabView']) =>
    cache.setQueryData<Schemas['NetworkView']>(keys.network, (old) => old && { ...old, lab: next });
  const attack = useMutation({
    mutationFn: () => body(client.POST('/api/attack', { body: { kind, share: share / 100 } })),
    onSuccess: show,
  });
  const reset = useMutation({
    mutationFn: () => body(client.POST('/api/reset', { body: {} as never })),
    onSuccess: show,
  });
  return (
    <Panel title={say.lab} aside={<Simulated />} lab>
      <div className={styles.lab}>
        <p className={styles.lead}>{say.labLead}</p>
        <p className={styles.state} data-eve={lab.eve ? true : undefined} role="status">
          {lab.eve && <IconSpy size={18} aria-hidden />}
          {!lab.reachable
            ? say.labGone
            : lab.eve
              ? say.attacked(nameOf(lab.eve.kind), percent(lab.eve.share, 0))
              : say.quiet}
        </p>
        <NativeSelect
          label={say.kind}
          value={kind}
          onChange={(event) => setKind(event.currentTarget.value)}
          data={lab.kinds.map((value) => ({ value, label: nameOf(value) }))}
        />
        <div>
          <div className={styles.share}>
            <span>{say.share}</span>
            <span className="number">{share} %</span>
          </div>
          <Slider
            thumbLabel={say.share}
            value={share}
            onChange={setShare}
            min={1}
            max={100}
            label={null}
          />
        </div>
        <div className={styles.buttons}>
          <Button
            {...(lab.eve ? { variant: 'default' } : { color: 'red' })}
            loading={attack.isPending}
            disabled={!lab.reachable}
            onClick={() => attack.mutate()}
          >
            {say.attack}
          </Button>
          <Button
            variant={lab.eve ? 'filled' : 'default'}
            loading={reset.isPending}
            disabled={!lab.reachable}
            onClick={() => reset.mutate()}
          >
            {say.reset}
          </Button>
        </div>
      </div>
    </Panel>
  );
}
