import { Button } from '@mantine/core';
import IconPlus from '@tabler/icons-react/dist/esm/icons/IconPlus.mjs';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { me } from '../../api/queries';
import { Panel } from '../../shared/Panel';
import { explain, Trouble } from '../../shared/Trouble';
import { texts } from '../../shared/texts';
import { Words } from '../../shared/Words';
import { devices as say } from '../../texts/devices';
import { Admission } from './Admission';
import styles from './DevicesPage.module.css';
import { Fleet } from './Fleet';
import { Invite } from './Invite';
import { Messages } from './Messages';
import { devices, newcomers } from './queries';

/** Who may join, on what evidence, and what the site's devices say. */
export function DevicesPage() {
  const who = useQuery(me).data;
  const [find, setFind] = useState('');
  const fleet = useQuery(devices(find));
  const door = useQuery(newcomers);
  const [inviting, setInviting] = useState(false);
  const error = fleet.error ?? door.error;
  if (error && (fleet.data === undefined || door.data === undefined))
    return (
      <Trouble
        {...explain(error)}
        action={{
          label: texts.again,
          run: () => {
            void fleet.refetch();
            void door.refetch();
          },
        }}
      />
    );
  if (fleet.data === undefined || door.data === undefined || !who)
    return <p>{texts.shell.connecting}</p>;
  const acts = who.role === 'operator';
  return (
    <div className={styles.page}>
      <header className={styles.header}>
        <div>
          <h1 className={styles.title}>{say.title}</h1>
          <p className={styles.lead}>{say.lead}</p>
        </div>
        <div className={styles.buttons}>
          {door.data !== null && (
            <Button component="a" href="#/register" variant="default">
              {texts.shell.register}
            </Button>
          )}
          {acts && fleet.data !== null && (
            <Button
              leftSection={<IconPlus size={17} aria-hidden />}
              onClick={() => setInviting(true)}
            >
              {say.invite}
            </Button>
          )}
        </div>
      </header>
      {door.data === null ? (
        <Absent title={say.noAdmission}>{say.noAdmissionWhat}</Absent>
      ) : (
        <Admission admission={door.data} acts={acts} />
      )}
      {fleet.data === null ? (
        <Absent title={say.noCloud}>{say.noCloudWhat}</Absent>
      ) : (
        <>
          <Fleet cloud={fleet.data} acts={acts} find={find} onFind={setFind} />
          <Messages />
        </>
      )}
      <Invite opened={inviting} onClose={() => setInviting(false)} />
    </div>
  );
}

function Absent({ title, children }: { title: string; children: string }) {
  return (
    <Panel title={title}>
      <p className={styles.none}>
        <Words>{children}</Words>
      </p>
    </Panel>
  );
}
