import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import type { FormEvent } from 'react';
import { count, dateAndTime } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { explain } from '../../shared/Trouble';
import { record as say } from '../../texts/record';
import { type Entry, entries, type Filters, given, type Log, type Page } from './queries';
import styles from './RecordPage.module.css';
import { summary } from './summary';
import { Verdict } from './Verdict';

interface EntriesPanelProps {
  log: Log;
  filters: Filters;
  chosen: number | undefined;
}

/** A page of the record, newest first, each entry proved to be in it. */
export function EntriesPanel({ log, filters, chosen }: EntriesPanelProps) {
  const navigate = useNavigate();
  const { data: page, error } = useQuery(entries(log, filters));
  const { kind, writer, handle } = filters;
  const show = (search: Filters & { entry?: number | undefined }, replace = false) =>
    void navigate({ to: '/record', search: given(search), replace });

  const filter = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const word = (name: string) => String(form.get(name) ?? '').trim() || undefined;
    const asked = { kind: word('kind'), writer: word('writer'), handle: word('handle') };
    if (asked.kind === kind && asked.writer === writer && asked.handle === handle) return;
    show({ ...asked, entry: chosen }, true);
  };
  return (
    <Panel
      title={say.size}
      aside={
        page && (
          <Pages
            page={page}
            onTurn={(to) => show({ kind, writer, handle, ...to, entry: chosen })}
          />
        )
      }
    >
      <form className={styles.filters} onSubmit={filter}>
        <NativeSelect
          name="kind"
          label={say.kind}
          defaultValue={kind ?? ''}
          onChange={(event) => event.currentTarget.form?.requestSubmit()}
          data={[
            { value: '', label: say.anyKind },
            ...Object.entries(say.kinds).map(([value, label]) => ({ value, label })),
          ]}
        />
        {(['writer', 'handle'] as const).map((name) => (
          <TextInput
            key={name}
            name={name}
            label={say[name]}
            defaultValue={filters[name] ?? ''}
            maxLength={64}
            onBlur={(event) => event.currentTarget.form?.requestSubmit()}
          />
        ))}
      </form>
      {error && (
        <Verdict level="RED" title={explain(error).title}>
          {error.message}
        </Verdict>
      )}
      {page && !error && (
        <Entries page={page} chosen={chosen} onChoose={(entry) => show({ ...filters, entry })} />
      )}
    </Panel>
  );
}

interface PagesProps {
  page: Page;
  onTurn: (to: { before?: number; start?: number }) => void;
}

function Pages({ page: { first, end, size }, onTurn }: PagesProps) {
  return (
    <>
      <span className={styles.seen}>
        {end > first && say.seen(count(first), count(end - 1), count(size))}
      </span>
      <Button.Group>
        <Button
          size="compact-sm"
          variant="default"
          disabled={first === 0}
          onClick={() => onTurn({ before: first })}
        >
          {say.older}
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          disabled={end >= size}
          onClick={() => onTurn({ start: end })}
        >
          {say.newer}
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          disabled={end >= size}
          onClick={() => onTurn({})}
        >
          {say.latest}
        </Button>
      </Button.Group>
    </>
  );
}

interface EntriesProps {
  page: Page;
  chosen: number | undefined;
  onChoose: (number: number) => void;
}

function Entries({ page, chosen, onChoose }: EntriesProps) {
  const { entries: found, refused, size } = page;
  if (found.length === 0)
    return <p className={styles.none}>{size === 0 ? say.nothing : say.empty}</p>;
  return (
    <>
      <p className={styles.proved} data-level={refused.length > 0 ? 'RED' : 'GREEN'}>
        {refused.length > 0
          ? say.unproved(refused.map(count).join(', '))
          : say.proved(count(found.length))}
      </p>
      <ol className={styles.entries}>
        {found.toReversed().map((entry) => (
          <Row
            key={entry.number}
            entry={entry}
            chosen={entry.number === chosen}
            onChoose={() => onChoose(entry.number)}
          />
        ))}
      </ol>
    </>
  );
}

interface RowProps {
  entry: Entry;
  chosen: boolean;
  onChoose: () => void;
}

function Row({ entry, chosen, onChoose }: RowProps) {
  return (
    <li>
      <button type="button" aria-current={chosen || undefined} onClick={onChoose}>
        <span className={styles.number}>{count(entry.number)}</span>
        <span className={styles.what}>
          <strong>{say.kinds[entry.kind] ?? entry.kind}</strong>
          <span className={styles.summary}>{summary(entry)}</span>
        </span>
        <time dateTime={new Date(entry.at * 1000).toISOString()}>{dateAndTime(entry.at)}</time>
      </button>
    </li>
  );
}
