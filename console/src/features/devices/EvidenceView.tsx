import { count, decimal, NOTHING } from '../../shared/format';
import { devices as say } from '../../texts/devices';
import { Circuit } from './Circuit';
import styles from './EvidenceView.module.css';
import { Outcomes } from './Outcomes';
import type { Evidence } from './queries';
import { Swatch } from './Swatch';

const ms = (value: number | null) => (value === null ? NOTHING : `${decimal(value, 1)} ms`);

/** What a newcomer says of its connection beside what the server measured. */
export function EvidenceView({ evidence }: { evidence: Evidence }) {
  const { claimed, measured } = evidence;
  return (
    <>
      <section>
        <h4>{say.evidence}</h4>
        <table className={styles.table}>
          <thead>
            <tr>
              <td />
              <th scope="col">{say.claimed}</th>
              <th scope="col">{say.measured}</th>
            </tr>
          </thead>
          <tbody className="number">
            <tr>
              <th scope="row">{say.ping}</th>
              <td>{ms(claimed.ping_ms)}</td>
              <td>{ms(measured.ping_ms)}</td>
            </tr>
            <tr>
              <th scope="row">{say.jitter}</th>
              <td>{ms(claimed.jitter_ms)}</td>
              <td>{ms(measured.jitter_ms)}</td>
            </tr>
            <tr>
              <th scope="row">{say.address}</th>
              <td>{claimed.address}</td>
              <td>{measured.address}</td>
            </tr>
            <tr>
              <th scope="row">{say.colour}</th>
              <td>
                <Swatch colour={claimed.colour} small />{' '}
                <span className="mono">{claimed.colour}</span>
              </td>
              <td>
                <Swatch colour={measured.colour} small />{' '}
                <span className="mono">{measured.colour}</span>
              </td>
            </tr>
          </tbody>
        </table>
        <p className={styles.note}>
          {say.echoes(count(evidence.echoes))} {say.colourWhat}
        </p>
      </section>
      <section>
        <h4>{say.circuit}</h4>
        <Circuit angles={measured.circuit.angles} />
        <Outcomes
          claimed={claimed.circuit.probabilities}
          measured={measured.circuit.probabilities}
        />
        <p className={styles.note}>
          {say.distance(decimal(evidence.distance))} {say.circuitWhat}
        </p>
      </section>
    </>
  );
}
