import { useQuery } from '@tanstack/react-query';
import { count, dateAndTime } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { Words } from '../../shared/Words';
import { devices as say } from '../../texts/devices';
import page from './DevicesPage.module.css';
import styles from './Messages.module.css';
import { messages } from './queries';

const LEVELS = { QUEUED: 'YELLOW', DELIVERED: 'GREEN', EXPIRED: 'RED' } as const;

/** The gateway's routing record: where each message to a device is. */
export function Messages() {
  const routes = useQuery(messages).data ?? [];
  return (
    <Panel title={say.messages}>
      {routes.length === 0 ? (
        <p className={page.none}>
          <Words>{say.messagesNone}</Words>
        </p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys
        <section className={styles.scroll} tabIndex={0} aria-label={say.messages}>
          <table className={styles.table}>
            <thead>
              <tr>
                <th scope="col">{say.message}</th>
                <th scope="col">{say.to}</th>
                <th scope="col">{say.size}</th>
                <th scope="col">{say.state}</th>
                <th scope="col">{say.queuedAt}</th>
              </tr>
            </thead>
            <tbody>
              {routes.map(({ id, name, size, state, queued }) => (
                <tr key={id}>
                  <td className="mono" title={id}>
                    {id.slice(0, 12)}
                  </td>
                  <td>{name}</td>
                  <td className="number">{count(size)}</td>
                  <td className={styles.state} data-level={LEVELS[state]}>
                    {say.routes[state]}
                  </td>
                  <td className="number">{dateAndTime(queued)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </Panel>
  );
}
