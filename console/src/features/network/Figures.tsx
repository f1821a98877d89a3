import IconHelp from '@tabler/icons-react/dist/esm/icons/IconHelpCircle.mjs';
import type { Level, Schemas } from '../../api/client';
import { Disclosure } from '../../shared/Disclosure';
import { bitRate, bits, decimal, duration, percent } from '../../shared/format';
import { texts } from '../../shared/texts';
import styles from './Figures.module.css';

interface FigureProps {
  title: string;
  value: string;
  says: string;
  how: string;
  /** Colours the number where it is the reason of a status. */
  level?: Level | undefined;
}

function Figure({ title, value, says, how, level }: FigureProps) {
  return (
    <article className={styles.figure}>
      <h2>
        {title}
        <Disclosure label={texts.network.how(title)} icon={<IconHelp size={16} stroke={1.6} />}>
          {how}
        </Disclosure>
      </h2>
      <p className={styles.value} data-level={level}>
        {value}
      </p>
      <p className={styles.says}>{says}</p>
    </article>
  );
}

/** Where a number puts the link, by the thresholds; nothing if it would be green. */
function levelOf(value: number | null, yellow: number, red: number): Level | undefined {
  if (value === null || value < yellow) return undefined;
  return value < red ? 'YELLOW' : 'RED';
}

function forecast(stock: Schemas['StockView'], at: number): string {
  const say = texts.network;
  if (stock.empty_at !== null) return say.stockEmpty(duration(stock.empty_at - at));
  return stock.change_per_s > 0 ? say.stockGrows(bitRate(stock.change_per_s)) : say.stockEven;
}

export function Figures({ network }: { network: Schemas['NetworkView'] }) {
  const { link, stock, thresholds } = network;
  const say = texts.network;
  const qber = link.qber ?? link.last_qber;
  return (
    <div className={styles.figures}>
      <Figure
        title={say.qber}
        value={percent(qber)}
        says={say.qberBound(percent(thresholds.yellow_qber, 0), percent(thresholds.red_qber, 0))}
        how={say.qberHow}
        level={levelOf(qber, thresholds.yellow_qber, thresholds.red_qber)}
      />
      {link.last_chsh !== null && (
        <Figure
          title={say.chsh}
          value={decimal(link.last_chsh)}
          says={say.chshBound(decimal(thresholds.chsh_floor))}
          how={say.chshHow}
          level={link.last_chsh < thresholds.chsh_floor ? 'RED' : undefined}
        />
      )}
      {stock && (
        <>
          <Figure
            title={say.rate}
            value={bitRate(stock.made_per_s)}
            says={stock.made_per_s > 0 ? say.rateSome : say.rateNone}
            how={say.rateHow}
          />
          <Figure
            title={say.stock}
            value={bits(stock.stock_bits)}
            says={forecast(stock, stock.at)}
            how={say.stockHow}
            level={
              stock.empty_at !== null && stock.empty_at - stock.at < 300 ? 'YELLOW' : undefined
            }
          />
        </>
      )}
    </div>
  );
}
