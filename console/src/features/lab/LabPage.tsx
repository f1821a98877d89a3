import { useQuery } from '@tanstack/react-query';
import type { Schemas } from '../../api/client';
import { lab } from '../../api/queries';
import { Simulated } from '../../shared/status';
import { explain, Trouble } from '../../shared/Trouble';
import { texts } from '../../shared/texts';
import { lab as say } from '../../texts/lab';
import { Answer } from './Answer';
import { Bell } from './Bell';
import { Controls } from './Controls';
import { Kept, useKept } from './Kept';
import styles from './LabPage.module.css';
import { Repeat } from './Repeat';
import { useExperiment, useSettings } from './useExperiment';

/** Experiments that answer while somebody moves a slider. */
export function LabPage() {
  const offers = useQuery(lab);
  if (offers.error)
    return (
      <Trouble
        {...explain(offers.error)}
        action={{ label: texts.again, run: () => void offers.refetch() }}
      />
    );
  const [first] = offers.data?.protocols ?? [];
  if (!offers.data || !first) return <p>{texts.shell.connecting}</p>;
  return <Bench offers={offers.data.protocols} first={first} />;
}

interface BenchProps {
  offers: readonly Schemas['ProtocolOffer'][];
  first: Schemas['ProtocolOffer'];
}

function Bench({ offers, first }: BenchProps) {
  const [settings, change] = useSettings();
  const offer = offers.find(({ name }) => name === settings.protocol) ?? first;
  const { data, error, isFetching, refetch } = useExperiment(settings, offer);
  const kept = useKept();
  return (
    <div className={styles.page}>
      <header className={styles.head}>
        <h1>{say.title}</h1>
        <Simulated why={say.simulatedWhy} />
        <p>{say.lead}</p>
      </header>
      <div className={styles.columns}>
        <Controls settings={settings} offers={offers} offer={offer} onChange={change} />
        <div className={styles.results} data-busy={isFetching || undefined} aria-busy={isFetching}>
          {error && !isFetching ? (
            <Trouble
              {...explain(error)}
              action={{ label: texts.again, run: () => void refetch() }}
            />
          ) : (
            <Answer
              result={data}
              most={offer.most_pulses}
              onPulses={(pulses) => change({ pulses })}
              onKeep={kept.keep}
            />
          )}
          {offer.bell && (
            <Bell
              result={data}
              hidden={settings.hidden}
              onHidden={(hidden) => change({ hidden })}
            />
          )}
          {data && <Repeat result={data} />}
        </div>
      </div>
      {kept.results.length > 0 && <Kept kept={kept} onShow={change} />}
    </div>
  );
}
