import { Button } from '@mantine/core';
import IconPlugOff from '@tabler/icons-react/dist/esm/icons/IconPlugConnectedX.mjs';
import { ApiError } from '../api/client';
import styles from './Trouble.module.css';
import { texts } from './texts';
import { Words } from './Words';

interface TroubleProps {
  title: string;
  what: string;
  action?: { label: string; run: () => void };
  /** There is nothing else on the page. */
  alone?: boolean;
}

/** Something is not there: what it is, and what to do. */
export function Trouble({ title, what, action, alone = false }: TroubleProps) {
  const Heading = alone ? 'h1' : 'h2';
  const told = (
    <div className={styles.trouble} role="status">
      <IconPlugOff size={30} stroke={1.5} aria-hidden />
      <Heading>{title}</Heading>
      <p>
        <Words>{what}</Words>
      </p>
      {action && (
        <Button variant="default" onClick={action.run}>
          {action.label}
        </Button>
      )}
    </div>
  );
  return alone ? <main>{told}</main> : told;
}

/** An error of the server, in words. */
export function explain(error: unknown): { title: string; what: string } {
  if (error instanceof ApiError) {
    if (error.status === 0 || error.status === 502)
      return { title: texts.trouble.unreachable, what: texts.trouble.unreachableWhat };
    if (error.status === 403) return { title: texts.trouble.forbidden, what: error.message };
    return { title: texts.trouble.failed, what: error.message };
  }
  return { title: texts.trouble.crashed, what: texts.trouble.crashedWhat };
}
