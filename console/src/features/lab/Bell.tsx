import { Switch } from '@mantine/core';
import type { Schemas } from '../../api/client';
import { decimal } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { Simulated } from '../../shared/status';
import { lab as say } from '../../texts/lab';
import styles from './Bell.module.css';
import { Gauge } from './Gauge';

/** S is their sum with these signs. */
const TERMS = [
  { alice: 0, bob: 45, sign: '+' },
  { alice: 0, bob: 135, sign: '−' },
  { alice: 90, bob: 45, sign: '+' },
  { alice: 90, bob: 135, sign: '+' },
] as const;

interface BellProps {
  result: Schemas['ExperimentView'] | undefined;
  hidden: boolean;
  onHidden: (hidden: boolean) => void;
}

/** S between what hidden variables can have and what entanglement has. */
export function Bell({ result, hidden, onHidden }: BellProps) {
  const chsh = result?.chsh;
  const shown = TERMS.map((term) => ({
    ...term,
    found: result?.correlations.find(
      ({ alice_deg, bob_deg }) =>
        Math.round(alice_deg) === term.alice && Math.round(bob_deg) === term.bob,
    ),
  }));
  return (
    <Panel title={say.bell} aside={<Simulated why={say.simulatedWhy} />}>
      <div className={styles.bell}>
        <Gauge value={chsh?.value ?? null} stderr={chsh?.stderr ?? null} />
        <div className={styles.words}>
          <Switch
            label={say.hidden}
            checked={hidden}
            onChange={(event) => onHidden(event.currentTarget.checked)}
          />
          <p>{hidden ? say.hiddenWhat : say.entangledWhat}</p>
          <table className={styles.terms}>
            <caption>{say.terms}</caption>
            <tbody>
              {shown.map(({ alice, bob, sign, found }) => (
                <tr key={`${alice} ${bob}`}>
                  <th scope="row">
                    {sign} E({alice}°, {bob}°)
                  </th>
                  <td className="number">{decimal(found?.value, 3)}</td>
                  <td className="number">± {decimal(found?.stderr, 3)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </div>
    </Panel>
  );
}
