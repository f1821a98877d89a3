import { notifications } from '@mantine/notifications';
import { explain } from './Trouble';
import { texts } from './texts';

/** Say what went wrong with something that was just asked for. */
export function tell(error: unknown): void {
  const { title, what } = explain(error);
  const closeButtonProps = { 'aria-label': texts.close };
  notifications.show({ title, message: what, color: 'red', closeButtonProps });
}
