import IconNetwork from '@tabler/icons-react/dist/esm/icons/IconActivityHeartbeat.mjs';
import IconRecord from '@tabler/icons-react/dist/esm/icons/IconBinaryTree.mjs';
import IconDevices from '@tabler/icons-react/dist/esm/icons/IconCpu.mjs';
import IconLab from '@tabler/icons-react/dist/esm/icons/IconFlask.mjs';
import IconChat from '@tabler/icons-react/dist/esm/icons/IconMessageCircle.mjs';
import type { Schemas } from '../api/client';
import { texts } from '../shared/texts';

/** The parts of the console, in their order. */
export const PARTS = [
  { to: '/chat', label: texts.parts.chat, Icon: IconChat },
  { to: '/network', label: texts.parts.network, Icon: IconNetwork },
  { to: '/devices', label: texts.parts.devices, Icon: IconDevices },
  { to: '/lab', label: texts.parts.lab, Icon: IconLab },
  { to: '/record', label: texts.parts.record, Icon: IconRecord },
] as const;

/** Those that this site has, and that are for somebody of this role. */
export function partsOf(
  about: Schemas['About'] | undefined,
  role: Schemas['Me']['role'] | undefined,
) {
  const there: Partial<Record<(typeof PARTS)[number]['to'], boolean | undefined>> = {
    '/record': about?.record,
    '/devices': role !== undefined && role !== 'member',
    '/chat': about?.chat && role !== undefined && role !== 'auditor',
  };
  return PARTS.filter(({ to }) => !(to in there) || there[to]);
}
