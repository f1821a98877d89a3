import IconNetwork from '@tabler/icons-react/dist/esm/icons/IconActivityHeartbeat.mjs';
import IconRecord from '@tabler/icons-react/dist/esm/icons/IconBinaryTree.mjs';
import IconLab from '@tabler/icons-react/dist/esm/icons/IconFlask.mjs';
import type { Schemas } from '../api/client';
import { texts } from '../shared/texts';

/** The parts of the console, in their order. */
export const PARTS = [
  { to: '/network', label: texts.parts.network, Icon: IconNetwork },
  { to: '/lab', label: texts.parts.lab, Icon: IconLab },
  { to: '/record', label: texts.parts.record, Icon: IconRecord },
] as const;

/** Those that this site has. */
export function partsOf(about: Schemas['About'] | undefined) {
  return PARTS.filter(({ to }) => to !== '/record' || about?.record);
}
