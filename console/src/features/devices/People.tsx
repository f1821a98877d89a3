import { duration } from '../../shared/format';
import { useSeconds } from '../../shared/useSeconds';
import { devices as say } from '../../texts/devices';
import styles from './People.module.css';
import type { Evidence, Registration } from './queries';
import { Swatch } from './Swatch';

/** Somebody at the door: registered, or turned away, with what was seen of it, if that is kept. */
export interface Person {
  registration: Registration | null;
  evidence: Evidence | null;
}

interface PeopleProps {
  people: readonly Person[];
  keyOf: (person: Person) => string;
  chosen: string | null;
  onChoose: (key: string) => void;
}

export function People({ people, keyOf, chosen, onChoose }: PeopleProps) {
  const now = useSeconds(true, 5);
  return (
    <ol className={styles.people}>
      {people.map((person) => {
        const key = keyOf(person);
        const { registration, evidence } = person;
        return (
          <li key={key}>
            <button
              type="button"
              aria-current={key === chosen || undefined}
              onClick={() => onChoose(key)}
            >
              {evidence ? (
                <Swatch colour={evidence.measured.colour} />
              ) : (
                <span className={styles.dot} data-standing={registration?.standing} />
              )}
              <span className={styles.who}>
                <strong>{registration?.handle ?? evidence?.handle}</strong>
                <span>
                  {evidence
                    ? evidence.measured.address
                    : registration && Object.keys(registration.keys).join(', ')}
                </span>
              </span>
              <span className={styles.when}>{when(person, now)}</span>
            </button>
          </li>
        );
      })}
    </ol>
  );
}

function when({ registration, evidence }: Person, now: number): string {
  if (registration === null) return evidence ? say.ago(duration(now - evidence.at)) : '';
  if (registration.standing === 'waiting') return say.waitsFor(duration(now - registration.since));
  const { standing } = registration;
  return `${say.standing[standing] ?? standing}, ${say.ago(duration(now - registration.changed))}`;
}
