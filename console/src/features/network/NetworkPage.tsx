import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import { blocks, events, history, me, network, sessions, stock } from '../../api/queries';
import { explain, Trouble } from '../../shared/Trouble';
import { texts } from '../../shared/texts';
import { Charts } from './Charts';
import { Events } from './Events';
import { Figures } from './Figures';
import { Guards } from './Guards';
import { Hero } from './Hero';
import { Lab } from './Lab';
import styles from './NetworkPage.module.css';
import { Sessions } from './Sessions';

// Members do not see it, and it is below what a first visit looks at.
const Relay = lazy(async () => ({ default: (await import('./Relay')).Relay }));

/** The link as it is, as it was, and what can be done about it. */
export function NetworkPage() {
  const now = useQuery(network);
  const who = useQuery(me).data;
  const decided = useQuery(blocks).data ?? [];
  const stocks = useQuery(stock).data ?? [];
  const records = useQuery(history).data ?? [];
  const happened = useQuery(events).data ?? [];
  const made = useQuery(sessions).data ?? [];
  if (now.error && !now.data)
    return (
      <Trouble
        {...explain(now.error)}
        action={{ label: texts.again, run: () => void now.refetch() }}
      />
    );
  if (!now.data || !who) return <p>{texts.shell.connecting}</p>;
  return (
    <div className={styles.page}>
      <h1 className={styles.hidden}>{texts.network.title}</h1>
      <Hero network={now.data} />
      <Figures network={now.data} />
      <div className={styles.columns}>
        <div className={styles.wide}>
          <Charts
            network={now.data}
            blocks={decided}
            stocks={stocks}
            records={records}
            events={happened}
          />
          <Sessions sessions={made} mayMake={who.role !== 'auditor'} />
        </div>
        <div className={styles.narrow}>
          {now.data.lab && who.role === 'operator' && <Lab lab={now.data.lab} />}
          <Events events={happened} />
          {who.role !== 'member' && (
            <Suspense fallback={null}>
              <Relay acts={who.role === 'operator'} />
            </Suspense>
          )}
          {now.data.guards && <Guards guards={now.data.guards} />}
        </div>
      </div>
    </div>
  );
}
