import { useQuery } from '@tanstack/react-query';
import { door } from '../../api/queries';
import { Panel } from '../../shared/Panel';
import { explain, Trouble } from '../../shared/Trouble';
import { texts } from '../../shared/texts';
import { Words } from '../../shared/Words';
import { register as say } from '../../texts/register';
import { Form } from './Form';
import styles from './RegisterPage.module.css';
import { State } from './State';
import { useRegistering } from './useRegistering';

/** Somebody registers a name, with keys that are made in the browser. */
export function RegisterPage() {
  const { data, error, refetch } = useQuery(door);
  const registering = useRegistering();
  if (error && data === undefined)
    return (
      <Trouble {...explain(error)} action={{ label: texts.again, run: () => void refetch() }} />
    );
  if (data === undefined) return <p>{texts.shell.connecting}</p>;
  return (
    <div className={styles.page}>
      <header>
        <h1 className={styles.title}>{say.title}</h1>
        <p className={styles.lead}>{say.lead}</p>
      </header>
      {data === null ? (
        <Panel title={say.absent}>
          <p className={styles.note}>
            <Words>{say.absentWhat}</Words>
          </p>
        </Panel>
      ) : (
        <div className={styles.columns}>
          <Panel title={say.form}>
            <Form door={data} registering={registering} />
          </Panel>
          <Panel title={say.state}>
            <State server={data.server} registering={registering} />
          </Panel>
        </div>
      )}
      <Panel title={say.program}>
        <ul className={styles.more}>
          {say.programWhat.map((each) => (
            <li key={each}>
              <Words>{each}</Words>
            </li>
          ))}
        </ul>
      </Panel>
    </div>
  );
}
