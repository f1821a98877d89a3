import { notifications } from '@mantine/notifications';
import { explain } from './Trouble';

/** Say what went wrong with something that was just asked for. */
export function tell(error: unknown): void {
  const { title, what } = explain(error);
  notifications.show({ title, message: what, color: 'red' });
}
