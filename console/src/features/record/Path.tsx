import IconCross from '@tabler/icons-react/dist/esm/icons/IconAlertOctagonFilled.mjs';
import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCircleCheckFilled.mjs';
import { type Hash, type Step, toHex } from '../../shared/merkle';
import { record as say } from '../../texts/record';
import styles from './Path.module.css';
import type { Outcome } from './queries';

const STEP_S = 0.09;

function Short({ hash }: { hash: Hash }) {
  const text = toHex(hash);
  return (
    <code className={styles.hash} title={text}>
      {text.slice(0, 8)}…{text.slice(-4)}
    </code>
  );
}

/** The way as a picture: the leaf below, its neighbours at the sides, the root on top. */
export function Path({ outcome, root }: { outcome: Outcome; root: Hash }) {
  const { leaf, steps, refused } = outcome;
  const good = refused === null;
  const Icon = good ? IconCheck : IconCross;
  return (
    <div data-level={good ? 'GREEN' : 'RED'}>
      <p className={styles.verdict} role="status">
        <Icon size={20} aria-hidden />
        <strong>{good ? say.holds : say.refused}</strong>
        {refused && <span>{refused}</span>}
      </p>
      <ol className={styles.path} reversed>
        <li className={styles.root}>
          <span className={styles.what}>{say.rootIs}</span>
          <Short hash={root} />
        </li>
        {steps.toReversed().map((step, i) => (
          <StepRow
            key={toHex(step.result)}
            step={step}
            delay={(steps.length - i) * STEP_S}
            top={i === 0}
          />
        ))}
        <li className={styles.leaf}>
          <span className={styles.what}>{say.leaf}</span>
          <Short hash={leaf} />
        </li>
      </ol>
    </div>
  );
}

function StepRow({ step, delay, top }: { step: Step; delay: number; top: boolean }) {
  const { side, neighbour, result } = step;
  return (
    <li
      className={styles.step}
      data-side={side}
      data-top={top || undefined}
      style={{ animationDelay: `${delay}s` }}
    >
      <span className={styles.neighbour}>
        <span className={styles.what}>{side === 'left' ? say.left : say.right}</span>
        <Short hash={neighbour} />
      </span>
      <span className={styles.result}>
        <Short hash={result} />
      </span>
    </li>
  );
}
