import { type ReactNode, useEffect, useRef } from 'react';
import { tell } from '../../shared/tell';
import { chat as say } from '../../texts/chat';
import styles from './Conversation.module.css';

interface LogProps {
  label: string;
  /** How many messages it has. */
  many: number;
  unread: number;
  /** Id of the message to show at first, in hexadecimal. */
  sought: string | null;
  /** What is there was seen. */
  onRead: () => Promise<void>;
  children: ReactNode;
}

/** What was said, the newest in view; it counts as read while somebody looks. */
export function Log({ label, many, unread, sought, onRead, children }: LogProps) {
  const log = useRef<HTMLDivElement>(null);
  const reading = useRef(onRead);
  reading.current = onRead;

  // biome-ignore lint/correctness/useExhaustiveDependencies: each message that comes moves the view
  useEffect(() => {
    log.current?.scrollTo({ top: 0 }); // it begins at its end
  }, [many]);

  useEffect(() => {
    const place = sought && log.current?.querySelector(`[data-message="${sought}"]`);
    if (place) place.scrollIntoView({ block: 'center' });
  }, [sought]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another conversation has another label
  useEffect(() => {
    const read = () => {
      if (unread > 0 && document.visibilityState === 'visible') reading.current().catch(tell);
    };
    read();
    document.addEventListener('visibilitychange', read);
    return () => document.removeEventListener('visibilitychange', read);
  }, [label, unread]);

  return (
    <div
      className={styles.log}
      role="log"
      aria-label={label}
      ref={log}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, which keys must be able to do
      tabIndex={0}
    >
      <div className={styles.said}>
        {many === 0 && <p className={styles.none}>{say.none}</p>}
        {children}
      </div>
    </div>
  );
}
