import { correction, generate, mode } from 'lean-qr';
import styles from './Conversation.module.css';

/** Light modules around it (ISO/IEC 18004: the quiet zone of a QR code is four modules wide). */
const QUIET = 4;

interface CodeProps {
  says: Uint8Array;
  label: string;
}

/** A QR code that says bytes, black on white whatever the theme (byte mode, level L). */
export function Code({ says, label }: CodeProps) {
  const { size, path } = drawn(says);
  return (
    <svg className={styles.code} viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label}>
      <path d={path} shapeRendering="crispEdges" />
    </svg>
  );
}

function drawn(says: Uint8Array): { size: number; path: string } {
  const level = correction.L;
  const code = generate(mode.bytes(says), {
    minCorrectionLevel: level,
    maxCorrectionLevel: level,
  });
  const places = Array.from({ length: code.size }, (_, at) => at);
  const path = places
    .flatMap((y) =>
      places.filter((x) => code.get(x, y)).map((x) => `M${x + QUIET} ${y + QUIET}h1v1h-1z`),
    )
    .join('');
  return { size: code.size + 2 * QUIET, path };
}
