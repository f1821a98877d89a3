import { Button } from '@mantine/core';
import type { Registered } from '../../admission/register';
import { ApiError } from '../../api/client';
import { dateAndTime } from '../../shared/format';
import { explain } from '../../shared/Trouble';
import { Words } from '../../shared/Words';
import { register as say } from '../../texts/register';
import styles from './RegisterPage.module.css';
import { fileOf, type Registering, saveFolder } from './useRegistering';

const LEVELS = { admitted: 'GREEN', waiting: 'YELLOW', refused: 'RED', revoked: 'RED' } as const;

interface StateProps {
  server: string;
  registering: Registering;
}

/** How it stands with a registration, and what its owner takes away. */
export function State({ server, registering: { folder, ask } }: StateProps) {
  const found = ask.data;
  return (
    <div className={styles.state} aria-live="polite">
      {ask.isPending ? (
        <p>{say.working}</p>
      ) : ask.error ? (
        <Refused error={ask.error} />
      ) : found ? (
        <Standing found={found} />
      ) : (
        <p className={styles.note}>{say.nothing}</p>
      )}
      {folder === null ? (
        <ol className={styles.steps}>
          {say.steps.map((each) => (
            <li key={each}>{each}</li>
          ))}
        </ol>
      ) : (
        <>
          <p className={styles.note}>{say.saved(fileOf(folder.name))}</p>
          {found?.certificate && (
            <p className={styles.note}>
              <Words>{say.use}</Words>
            </p>
          )}
          <div className={styles.buttons}>
            {found?.status === 'waiting' && (
              <Button
                loading={ask.isPending}
                onClick={() => ask.mutate({ server, name: folder.name, token: null, folder })}
              >
                {say.askAgain}
              </Button>
            )}
            {found?.certificate ? (
              <Button onClick={() => saveFolder(folder, certificates(found))}>{say.saveAll}</Button>
            ) : (
              <Button variant="default" onClick={() => saveFolder(folder)}>
                {say.save}
              </Button>
            )}
          </div>
        </>
      )}
    </div>
  );
}

function certificates({ certificate }: Registered): Record<string, string> {
  if (certificate === null) return {};
  return { 'client.crt': certificate.certificate, 'ca.crt': certificate.authorities };
}

function Refused({ error }: { error: Error }) {
  const said = error instanceof ApiError && error.status > 0 && error.status < 500;
  const { title, what } = explain(error);
  return (
    <div className={styles.standing} data-level="RED" role="alert">
      <strong>{said ? say.refused : title}</strong>
      <p>{said ? error.message : what}</p>
    </div>
  );
}

function Standing({ found }: { found: Registered }) {
  const { username, status, reasons, certificate, receipt } = found;
  return (
    <>
      <div className={styles.standing} data-level={LEVELS[status]}>
        <strong>{say.standing[status](username)}</strong>
        {status === 'waiting' && <p>{say.waitingWhat}</p>}
        {reasons.length > 0 && (
          <ul>
            {reasons.map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        )}
      </div>
      {status === 'admitted' && (
        <dl className={styles.facts}>
          <div>
            <dt>{say.certificate}</dt>
            <dd>
              {certificate
                ? say.forSae(certificate.sae_id, dateAndTime(certificate.not_after))
                : say.noCertificate}
            </dd>
          </div>
        </dl>
      )}
      {receipt !== null && (
        <p>
          <a href={`#/record?handle=${username}`}>{say.inRecord}</a>
        </p>
      )}
    </>
  );
}
