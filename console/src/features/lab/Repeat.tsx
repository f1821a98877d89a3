import { Button } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs';
import IconCopy from '@tabler/icons-react/dist/esm/icons/IconCopy.mjs';
import IconLink from '@tabler/icons-react/dist/esm/icons/IconLink.mjs';
import type { ReactNode } from 'react';
import type { Schemas } from '../../api/client';
import { Panel } from '../../shared/Panel';
import { texts } from '../../shared/texts';
import { Command } from '../../shared/Words';
import { lab as say } from '../../texts/lab';
import styles from './Repeat.module.css';

/** How somebody else repeats it: a link, a command, a program. */
export function Repeat({ result }: { result: Schemas['ExperimentView'] }) {
  const link = useClipboard();
  return (
    <Panel
      title={say.repeat}
      aside={
        <Button
          size="xs"
          variant="default"
          leftSection={link.copied ? <IconCheck size={15} /> : <IconLink size={15} />}
          onClick={() => link.copy(window.location.href)}
        >
          {link.copied ? texts.copied : say.link}
        </Button>
      }
    >
      <div className={styles.repeat}>
        <Text label={say.command} text={result.command}>
          <Command>{result.command}</Command>
        </Text>
        <Text label={say.python} text={result.python.trim()}>
          {result.python.trim()}
        </Text>
      </div>
    </Panel>
  );
}

interface TextProps {
  label: string;
  /** What is copied. */
  text: string;
  children: ReactNode;
}

function Text({ label, text, children }: TextProps) {
  const clipboard = useClipboard();
  return (
    <div className={styles.text}>
      <h3>{label}</h3>
      <Button
        size="compact-xs"
        variant="subtle"
        aria-label={say.copy(label)}
        leftSection={clipboard.copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
        onClick={() => clipboard.copy(text)}
      >
        {clipboard.copied ? texts.copied : texts.copy}
      </Button>
      <pre className="mono">{children}</pre>
    </div>
  );
}
