import IconNetwork from '@tabler/icons-react/dist/esm/icons/IconActivityHeartbeat.mjs';
import { texts } from '../shared/texts';

/** The parts of the console, in their order. */
export const PARTS = [{ to: '/network', label: texts.parts.network, Icon: IconNetwork }] as const;
