import { Button, Switch } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { keys } from '../../api/live';
import { count } from '../../shared/format';
import { toHash } from '../../shared/merkle';
import { Panel } from '../../shared/Panel';
import { saveText } from '../../shared/save';
import { Words } from '../../shared/Words';
import { record as say } from '../../texts/record';
import styles from './EntryView.module.css';
import { Path } from './Path';
import { type Entry, type Page, prove } from './queries';
import { receipt, SUFFIX } from './receipt';

const LONGEST = 240;

interface EntryViewProps {
  entry: Entry;
  /** The tree that the proof is for, whose checkpoint this browser has checked. */
  tree: Page;
  origin: string;
}

/** A field as text; of keys the beginning and the end: a receipt has all of them. */
function worded(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 40)} … ${text.slice(-32)}` : text;
}

/** One entry: what it says, and the way from it to the root that was signed. */
export function EntryView({ entry, tree, origin }: EntryViewProps) {
  const [tampered, setTampered] = useState(false);
  const outcome = useQuery({
    queryKey: [...keys.record, 'proof', entry.number, tree.size, tampered],
    queryFn: () => prove(entry, tree, tampered),
  }).data;
  return (
    <Panel
      title={`${say.entry(count(entry.number))} · ${say.kinds[entry.kind] ?? entry.kind}`}
      aside={
        <Button
          size="compact-sm"
          variant="default"
          disabled={outcome?.refused !== null}
          onClick={() =>
            saveText(
              `${origin.replaceAll('/', '-')}-${entry.number}${SUFFIX}`,
              receipt(entry, tree.checkpoint),
            )
          }
        >
          {say.receipt}
        </Button>
      }
    >
      <dl className={styles.fields}>
        {Object.entries(entry.content).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="mono">{worded(value)}</dd>
          </div>
        ))}
      </dl>
      <div className={styles.proof}>
        <div>
          <h3>{say.proof}</h3>
          <p>{say.proofLead(entry.proof.length, count(tree.size))}</p>
        </div>
        <Switch
          label={say.tamper}
          description={say.tamperWhat}
          checked={tampered}
          onChange={(event) => setTampered(event.currentTarget.checked)}
        />
      </div>
      {outcome && <Path outcome={outcome} root={toHash(tree.root)} />}
      <p className={styles.note}>
        <Words>{say.receiptWhat}</Words>
      </p>
    </Panel>
  );
}
