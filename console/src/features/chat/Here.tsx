import { chat as say } from '../../texts/chat';
import styles from './Here.module.css';

/** Somebody was heard from in the last minute. */
export function Here() {
  return <span className={styles.here} role="img" aria-label={say.isHere} title={say.isHere} />;
}
