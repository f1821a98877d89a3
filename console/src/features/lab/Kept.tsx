import { ActionIcon, Button } from '@mantine/core';
import IconDownload from '@tabler/icons-react/dist/esm/icons/IconDownload.mjs';
import IconTrash from '@tabler/icons-react/dist/esm/icons/IconTrash.mjs';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { Schemas } from '../../api/client';
import { keys } from '../../api/live';
import { bitRate, count, decimal, percent } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { saveText } from '../../shared/save';
import { LevelIcon } from '../../shared/status';
import { lab as say } from '../../texts/lab';
import { csv } from './csv';
import styles from './Kept.module.css';
import { type Settings, settingsOf } from './settings';

type Result = Schemas['ExperimentView'];

/** Results that somebody keeps until he signs out or loads the page anew, whatever page he looks at. */
export function useKept() {
  const cache = useQueryClient();
  const { data = [] } = useQuery<Result[]>({
    queryKey: keys.kept,
    enabled: false,
    gcTime: Number.POSITIVE_INFINITY,
  });
  const put = (change: (old: Result[]) => Result[]) =>
    cache.setQueryData<Result[]>(keys.kept, (old = []) => change(old));
  return {
    results: data,
    keep: (result: Result) =>
      put((old) => [...old.filter(({ command }) => command !== result.command), result]),
    drop: (result: Result) => put((old) => old.filter((each) => each !== result)),
  };
}

interface KeptProps {
  kept: ReturnType<typeof useKept>;
  onShow: (settings: Settings) => void;
}

/** Results side by side. */
export function Kept({ kept, onShow }: KeptProps) {
  return (
    <Panel
      title={say.kept}
      aside={
        <Button
          size="xs"
          variant="default"
          leftSection={<IconDownload size={15} aria-hidden />}
          onClick={() => saveText('experiments.csv', csv(kept.results), 'text/csv')}
        >
          {say.csv}
        </Button>
      }
    >
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <section className={styles.scroll} aria-label={say.keptTable} tabIndex={0}>
        <table className={styles.table}>
          <thead>
            <tr>
              {[say.experiment, say.qber, say.chsh, say.rate].map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
              <td />
            </tr>
          </thead>
          <tbody>
            {kept.results.map((each) => (
              <tr key={each.command}>
                <th scope="row">
                  <button type="button" onClick={() => onShow(settingsAgain(each))}>
                    <LevelIcon level={each.verdict === 'accept' ? 'GREEN' : 'RED'} size={16} />
                    {summary(each)}
                  </button>
                </th>
                <td className="number">{figure(each.qber, (value) => percent(value, 2))}</td>
                <td className="number">{figure(each.chsh, (value) => decimal(value, 3))}</td>
                <td className="number">
                  {each.verdict === 'accept' ? bitRate(each.secret_rate_bps) : say.abort}
                </td>
                <td>
                  <ActionIcon
                    variant="subtle"
                    color="gray"
                    aria-label={say.drop(summary(each))}
                    onClick={() => kept.drop(each)}
                  >
                    <IconTrash size={16} />
                  </ActionIcon>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </Panel>
  );
}

function figure(found: Schemas['Figure'] | null, show: (value: number | null) => string): string {
  if (found === null || found.value === null) return show(null);
  return `${show(found.value)} ± ${show(found.stderr)}`;
}

/** An experiment in a few words: what is not as usual. */
function summary({ asked }: Result): string {
  const { eve, share, km, misalignment, hidden, pulses } = settingsAgain({ asked });
  return [
    say.protocols[asked.protocol],
    count(pulses),
    `${km} km`,
    say.noiseOf(percent(misalignment)),
    ...(hidden ? [say.hiddenShort] : []),
    ...(eve === 'none' ? [] : [`${say.eves[eve] ?? eve} ${percent(share, 0)}`]),
  ].join(' · ');
}

function settingsAgain({ asked }: Pick<Result, 'asked'>): Settings {
  const { eve, ...rest } = asked;
  return settingsOf({ ...rest, eve: eve ?? 'none' });
}
