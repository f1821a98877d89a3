import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { ApiError } from '../../api/client';
import { ProofRefused } from '../../shared/merkle';
import { explain, Trouble } from '../../shared/Trouble';
import { texts } from '../../shared/texts';
import { record as say } from '../../texts/record';
import { CheckpointView } from './CheckpointView';
import { EntriesPanel } from './EntriesPanel';
import { EntryView } from './EntryView';
import * as memory from './memory';
import { chosen, type Log, record } from './queries';
import styles from './RecordPage.module.css';
import { Verdict } from './Verdict';

const route = getRouteApi('/inside/record');

/** What the site wrote down, and the proofs, which this browser checks. */
export function RecordPage() {
  const found = useQuery(record);
  const { error, data } = found;
  const refused = refusalOf(error);
  if (!data) {
    if (!error) return <p>{texts.shell.connecting}</p>;
    const gone = error instanceof ApiError && error.status === 404;
    return (
      <Trouble
        {...(gone ? { title: say.none, what: say.noneWhat } : troubleOf(error))}
        action={{ label: texts.again, run: () => void found.refetch() }}
      />
    );
  }
  return (
    <div className={styles.page}>
      <header>
        <h1 className={styles.title}>{say.title}</h1>
        <p className={styles.lead}>{say.lead}</p>
      </header>
      <CheckpointView
        found={data}
        refused={refused}
        onForget={() => {
          memory.forget(data.log.origin);
          void found.refetch();
        }}
      />
      {data.checked !== null && refused === null && <Checked log={data.log} />}
    </div>
  );
}

/** Entries, and the one that was chosen: shown of a log whose checkpoint holds alone. */
function Checked({ log }: { log: Log }) {
  const { entry: number, ...filters } = route.useSearch();
  return (
    <div className={styles.columns}>
      <EntriesPanel log={log} filters={filters} chosen={number} />
      {number === undefined ? (
        <p className={styles.choose}>{say.choose}</p>
      ) : (
        <Chosen key={number} log={log} number={number} />
      )}
    </div>
  );
}

function Chosen({ log, number }: { log: Log; number: number }) {
  const { data, error } = useQuery(chosen(log, number));
  if (error) {
    const { title, what } = troubleOf(error);
    return (
      <Verdict level="RED" title={title}>
        {what}
      </Verdict>
    );
  }
  if (!data) return <p className={styles.choose}>{texts.shell.connecting}</p>;
  const entry = data.entries.find((each) => each.number === number);
  if (!entry) return <p className={styles.choose}>{say.noEntry}</p>;
  return <EntryView entry={entry} tree={data} origin={log.origin} />;
}

/** Why the console, or this browser, refuses the log; null if it does not. */
function refusalOf(error: Error | null): string | null {
  if (error instanceof ProofRefused) return error.message;
  // A proxy that finds no console says 502 as well, without a word.
  return error instanceof ApiError && error.status === 502 && error.message ? error.message : null;
}

function troubleOf(error: Error) {
  const why = refusalOf(error);
  return why === null ? explain(error) : { title: say.untrue, what: why };
}
