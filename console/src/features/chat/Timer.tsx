import { NativeSelect } from '@mantine/core';
import { duration } from '../../shared/format';
import { tell } from '../../shared/tell';
import { chat as say } from '../../texts/chat';

const TIMERS_S = [0, 300, 3600, 86_400, 604_800];

interface TimerProps {
  /** Seconds; 0: what is said stays. */
  timerS: number;
  onChoose: (timerS: number) => Promise<void>;
  label?: string;
  /** In words, from when its time runs. */
  after?: (time: string) => string;
}

/** After how long what is said disappears. */
export function Timer({ timerS, onChoose, label = say.timer, after = say.after }: TimerProps) {
  return (
    <NativeSelect
      size="xs"
      label={label}
      value={String(timerS)}
      onChange={(event) => void onChoose(Number(event.currentTarget.value)).catch(tell)}
      data={[...new Set([...TIMERS_S, timerS])].map((seconds) => ({
        value: String(seconds),
        label: seconds ? after(duration(seconds)) : say.never,
      }))}
    />
  );
}
