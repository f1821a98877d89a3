import { Button } from '@mantine/core';
import IconPin from '@tabler/icons-react/dist/esm/icons/IconPin.mjs';
import type { Schemas } from '../../api/client';
import { bitRate, bits, count, decimal, percent } from '../../shared/format';
import { LevelIcon } from '../../shared/status';
import { lab as say } from '../../texts/lab';
import styles from './Answer.module.css';
import { Scale } from './Scale';

const CLASSICAL = 2;
const QUANTUM = 2 * Math.SQRT2;

interface AnswerProps {
  result: Schemas['ExperimentView'] | undefined;
  /** Photons that may be asked for here. */
  most: number;
  onPulses: (pulses: number) => void;
  onKeep: (result: Schemas['ExperimentView']) => void;
}

/** What came of an experiment: the verdict in words, then each figure beside theory. */
export function Answer({ result, most, onPulses, onKeep }: AnswerProps) {
  if (result === undefined)
    return (
      <section className={styles.verdict} aria-label={say.verdict}>
        <p className={styles.reason}>{say.first}</p>
      </section>
    );
  const accepted = result.verdict === 'accept';
  const level = accepted ? 'GREEN' : 'RED';
  const { qber, chsh, key_per_pulse: key } = result;
  return (
    <>
      <section className={styles.verdict} data-level={level} aria-label={say.verdict}>
        <div role="status">
          <p className={styles.headline}>
            <LevelIcon level={level} size={26} />
            {accepted ? say.accept(bits(result.secret_bits)) : say.abort}
          </p>
          <p className={styles.reason}>
            {accepted ? say.acceptWhat : result.reason}
            {' · '}
            {say.counted(count(result.detections), count(result.sifted_bits))}
          </p>
        </div>
        <Button
          variant="default"
          leftSection={<IconPin size={17} aria-hidden />}
          onClick={() => onKeep(result)}
        >
          {say.keep}
        </Button>
      </section>
      {result.more && <More more={result.more} result={result} most={most} onPulses={onPulses} />}
      <div className={styles.figures}>
        {qber && (
          <Measured
            title={say.qber}
            figure={qber}
            show={(value) => percent(value, 2)}
            most={0.3}
            limits={[{ at: result.red_qber, label: percent(result.red_qber, 0) }]}
          />
        )}
        {chsh && (
          <Measured
            title={say.chsh}
            figure={chsh}
            show={(value) => decimal(value, 3)}
            most={3}
            limits={[
              { at: CLASSICAL, label: '2' },
              { at: QUANTUM, label: '2√2' },
            ]}
          />
        )}
        <article className={styles.figure}>
          <h2>{say.rate}</h2>
          <p className={styles.value}>{bitRate(result.secret_rate_bps)}</p>
          <p className={styles.says}>{say.rateWhat}</p>
          <p className={styles.says}>
            {say.perPulse(decimal(key?.value, 4))}
            {key?.theory != null && ` · ${say.longBlocks(decimal(key.theory, 4))}`}
          </p>
        </article>
      </div>
    </>
  );
}

interface MoreProps {
  more: Schemas['MorePhotons'];
  result: Schemas['ExperimentView'];
  most: number;
  onPulses: (pulses: number) => void;
}

function More({ more, result, most, onPulses }: MoreProps) {
  const wanted = more.pulses ?? result.asked.pulses * 5;
  const next = Math.min(most, wanted);
  return (
    <p className={styles.more} role="status">
      <LevelIcon level="YELLOW" size={18} />
      <span>
        {say.more[more.why]}
        {more.pulses !== null && ` ${say.enough(count(more.pulses))}`}
        {wanted > most && ` ${say.beyond}`}
      </span>
      {next > result.asked.pulses && (
        <Button size="xs" variant="default" onClick={() => onPulses(next)}>
          {say.take(count(next))}
        </Button>
      )}
    </p>
  );
}

interface MeasuredProps {
  title: string;
  figure: Schemas['Figure'];
  show: (value: number | null) => string;
  most: number;
  limits: { at: number; label: string }[];
}

function Measured({ title, figure, show, most, limits }: MeasuredProps) {
  const { value, stderr, theory } = figure;
  const away = value !== null && stderr && theory !== null ? (value - theory) / stderr : null;
  return (
    <article className={styles.figure}>
      <h2>{title}</h2>
      <p className={styles.value}>
        {show(value)}
        {stderr !== null && <small>± {show(stderr)}</small>}
      </p>
      <p className={styles.says}>
        {theory === null ? say.noTheory : say.theory(show(theory))}
        {away !== null && ` · ${say.away(decimal(Math.abs(away), 1))}`}
      </p>
      <Scale {...{ value, stderr, theory, most, limits }} />
    </article>
  );
}
