import { SegmentedControl } from '@mantine/core';
import { useState } from 'react';
import { count } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { Words } from '../../shared/Words';
import { devices as say } from '../../texts/devices';
import styles from './DevicesPage.module.css';
import { People, type Person } from './People';
import { PersonView } from './PersonView';
import type { Admission as Server } from './queries';

type Tab = keyof typeof say.tabs;

/** The server of admission: who waits, who was let in, whom the verdict was against. */
export function Admission({ admission, acts }: { admission: Server; acts: boolean }) {
  const { counts, registrations, turned_away: away } = admission;
  const [tab, setTab] = useState<Tab>('waiting');
  const [chosen, setChosen] = useState<string | null>(null);
  const waiting = registrations.filter(({ standing }) => standing === 'waiting');
  const people: Record<Tab, Person[]> = {
    waiting: waiting.map((registration) => ({ registration, evidence: registration.evidence })),
    known: registrations
      .filter(({ standing }) => standing !== 'waiting')
      .map((registration) => ({ registration, evidence: null })),
    away: away.map((evidence) => ({ registration: null, evidence })),
  };
  const totals: Record<Tab, number> = {
    waiting: counts.waiting ?? 0,
    known: (counts.admitted ?? 0) + (counts.revoked ?? 0),
    away: away.length,
  };
  const none = { waiting: say.noneWaiting, known: say.noneKnown, away: say.noneAway }[tab];
  const shown = people[tab];
  const keyOf = ({ registration, evidence }: Person) =>
    registration?.handle ?? `${evidence?.handle} ${evidence?.at}`;
  const one = shown.find((each) => keyOf(each) === chosen) ?? (tab === 'waiting' && shown[0]);
  return (
    <Panel
      title={say.door}
      aside={
        <SegmentedControl
          size="xs"
          aria-label={say.tabsLabel}
          value={tab}
          onChange={(value) => {
            setTab(value as Tab);
            setChosen(null);
          }}
          data={(Object.keys(say.tabs) as Tab[]).map((value) => ({
            value,
            label: say.tabs[value](count(totals[value])),
          }))}
        />
      }
    >
      <div className={styles.columns}>
        <div>
          {shown.length === 0 ? (
            <p className={styles.none}>
              <Words>{none}</Words>
            </p>
          ) : (
            <People
              people={shown}
              keyOf={keyOf}
              chosen={one ? keyOf(one) : null}
              onChoose={setChosen}
            />
          )}
          <p className={styles.note}>{say.gates[admission.gate]}</p>
        </div>
        {shown.length > 0 &&
          (one ? (
            <PersonView key={keyOf(one)} person={one} acts={acts} />
          ) : (
            <p className={styles.choose}>{say.chooseNewcomer}</p>
          ))}
      </div>
    </Panel>
  );
}
