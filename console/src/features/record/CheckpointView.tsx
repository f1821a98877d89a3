import { Button } from '@mantine/core';
import { count } from '../../shared/format';
import { toHash, toHex } from '../../shared/merkle';
import type { Signature } from '../../shared/note';
import { record as say } from '../../texts/record';
import styles from './CheckpointView.module.css';
import type { Checked, Found } from './queries';
import { Verdict } from './Verdict';

interface CheckpointViewProps {
  found: Found;
  /** The console refuses the log as it is now. */
  refused: string | null;
  onForget: () => void;
}

/** The signed head of the record, and what this browser found out about it. */
export function CheckpointView({ found, refused, onForget }: CheckpointViewProps) {
  const { log, checked } = found;
  const why = refused ?? found.refused;
  return (
    <section className={styles.head} aria-label={say.checkpoint}>
      <dl className={styles.facts}>
        <div>
          <dt>{say.size}</dt>
          <dd className={styles.size}>{count(log.size)}</dd>
        </div>
        <div className={styles.root}>
          <dt>{say.root}</dt>
          <dd className="mono">{toHex(toHash(log.root))}</dd>
        </div>
        <div className={styles.root}>
          <dt>{say.log}</dt>
          <dd className="mono">{log.origin}</dd>
        </div>
      </dl>
      <div className={styles.verdicts} aria-live="polite">
        {why !== null && (
          <Verdict level="RED" title={`${say.untrue}: ${why}`}>
            {say.untrueWhat}{' '}
            {refused === null && (
              <Button size="compact-xs" variant="default" onClick={onForget}>
                {say.forget}
              </Button>
            )}
          </Verdict>
        )}
        {why === null && checked !== null && <Held checked={checked} />}
      </div>
    </section>
  );
}

function Held({ checked: { log, witnesses, before } }: { checked: Checked }) {
  return (
    <>
      <Signed
        title={say.signed}
        what={say.signedWhat}
        signatures={log}
        names={[...new Set(log.map(({ algorithm }) => algorithm))]}
      />
      {witnesses.length > 0 ? (
        <Signed
          title={say.witnessed}
          what={say.witnessedWhat}
          signatures={witnesses}
          names={witnesses.map(({ name }) => name)}
        />
      ) : (
        <Verdict title={say.noWitness}>{say.noWitnessWhat}</Verdict>
      )}
      {before === null ? (
        <Verdict title={say.firstSight}>{say.firstSightWhat}</Verdict>
      ) : (
        <Verdict level="GREEN" title={say.grown}>
          {say.grownWhat(count(before))}
        </Verdict>
      )}
    </>
  );
}

interface SignedProps {
  title: string;
  what: string;
  signatures: readonly Signature[];
  names: readonly string[];
}

/** Green only where this browser has checked every one. */
function Signed({ title, what, signatures, names }: SignedProps) {
  const held = signatures.every((each) => each.held);
  return (
    <Verdict level={held ? 'GREEN' : 'YELLOW'} title={`${title}: ${names.join(', ')}`}>
      {held ? what : say.unsupported}
    </Verdict>
  );
}
