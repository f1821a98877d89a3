import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import IconCross from '@tabler/icons-react/dist/esm/icons/IconAlertOctagonFilled.mjs';
import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCircleCheckFilled.mjs';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { body, client } from '../../api/client';
import { keys } from '../../api/live';
import { tell } from '../../shared/tell';
import { texts } from '../../shared/texts';
import { devices as say } from '../../texts/devices';
import { Confirm } from './Confirm';
import { EvidenceView } from './EvidenceView';
import type { Person } from './People';
import styles from './PersonView.module.css';
import type { Decision, Registration } from './queries';

/** Somebody at the door, what the verdict rests on, and what an operator may do. */
export function PersonView({ person, acts }: { person: Person; acts: boolean }) {
  const { registration, evidence } = person;
  const known = registration ?? evidence;
  if (known === null) return null;
  const { handle: name, verdict, reasons, assessor } = known;
  const secure = verdict === 'SECURE';
  const Icon = secure ? IconCheck : IconCross;
  return (
    <article className={styles.person} aria-label={name}>
      <div className={styles.head}>
        <div>
          <h3>{name}</h3>
          {registration && <Standing registration={registration} />}
        </div>
        {acts && registration && <Actions registration={registration} />}
      </div>
      <div className={styles.verdict} data-level={secure ? 'GREEN' : 'RED'}>
        <Icon size={20} aria-hidden />
        <div>
          <strong>{secure ? say.secure : say.insecure}</strong>
          {reasons.length > 0 && (
            <ul>
              {reasons.map((reason) => (
                <li key={reason}>{reason}</li>
              ))}
            </ul>
          )}
          <p>
            {say.judged(assessor === 'local' ? say.local : assessor)} {say.gate}
          </p>
        </div>
      </div>
      {evidence ? (
        <EvidenceView evidence={evidence} />
      ) : (
        registration?.standing === 'waiting' && <p className={styles.note}>{say.noEvidence}</p>
      )}
      {registration && (
        <section>
          <h4>{say.keys}</h4>
          <dl className={styles.keys}>
            {Object.entries(registration.keys).map(([kind, hash]) => (
              <div key={kind}>
                <dt>{kind}</dt>
                <dd className="mono" title={hash}>
                  {hash.slice(0, 16)}…
                </dd>
              </div>
            ))}
          </dl>
        </section>
      )}
    </article>
  );
}

function Standing({ registration: { standing, by, entry } }: { registration: Registration }) {
  const how = by === 'assessor' ? '' : ` ${say.by[by] ?? by}`;
  return (
    <p className={styles.note}>
      {say.standing[standing]}
      {how}
      {entry !== null && (
        <>
          {' · '}
          <a href={`#/record?entry=${entry}`}>{say.inRecord(String(entry))}</a>
        </>
      )}
    </p>
  );
}

function Actions({ registration: { handle, standing } }: { registration: Registration }) {
  const cache = useQueryClient();
  const [sure, setSure] = useState(false);
  const decide = useMutation({
    mutationFn: (decision: Decision) =>
      body(client.POST('/api/admission', { body: { handle, decision } })),
    onSuccess: (_, decision) => {
      notifications.show({
        message: say.decided[decision](handle),
        closeButtonProps: { 'aria-label': texts.close },
      });
      return cache.invalidateQueries({ queryKey: keys.newcomers });
    },
    onError: tell,
  });
  if (standing === 'waiting')
    return (
      <div className={styles.buttons}>
        <Button
          variant="default"
          disabled={decide.isPending}
          onClick={() => decide.mutate('refuse')}
        >
          {say.refuse}
        </Button>
        <Button loading={decide.isPending} onClick={() => decide.mutate('admit')}>
          {say.approve}
        </Button>
      </div>
    );
  if (standing !== 'admitted') return null;
  return (
    <>
      <Button variant="default" onClick={() => setSure(true)}>
        {say.revoke}
      </Button>
      <Confirm
        opened={sure}
        onClose={() => setSure(false)}
        name={handle}
        title={say.revokeTitle(handle)}
        what={say.revokeWhat}
        label={say.revokeConfirm(handle)}
        action={say.revoke}
        onConfirm={() => {
          setSure(false);
          decide.mutate('revoke');
        }}
      />
    </>
  );
}
