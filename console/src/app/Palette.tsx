import { type KeyboardEvent, useId, useState } from 'react';
import { Dialog } from '../shared/Dialog';
import { texts } from '../shared/texts';
import styles from './Palette.module.css';
import type { PARTS } from './parts';

export interface Action {
  label: string;
  Icon: (typeof PARTS)[number]['Icon'];
  run: () => void;
}

interface PaletteProps {
  opened: boolean;
  onClose: () => void;
  actions: readonly Action[];
}

/** Every page and action by a few letters. */
export function Palette({ opened, onClose, actions }: PaletteProps) {
  return (
    <Dialog opened={opened} onClose={onClose} title={texts.shell.palette} bare>
      <Choices actions={actions} onClose={onClose} />
    </Dialog>
  );
}

function Choices({ actions, onClose }: Omit<PaletteProps, 'opened'>) {
  const id = useId();
  const [query, setQuery] = useState('');
  const [chosen, setChosen] = useState(0);
  const found = actions.filter(({ label }) =>
    label.toLowerCase().includes(query.trim().toLowerCase()),
  );
  const at = Math.min(chosen, found.length - 1);

  function take(action: Action | undefined) {
    if (action === undefined) return;
    onClose();
    action.run();
  }

  function onKeyDown(event: KeyboardEvent) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && found.length > 0) {
      event.preventDefault();
      setChosen((at + step + found.length) % found.length);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      take(found[at]);
    }
  }

  return (
    <>
      <input
        className={styles.input}
        // biome-ignore lint/a11y/noAutofocus: a dialog begins at its field
        autoFocus
        role="combobox"
        aria-label={texts.shell.palette}
        aria-expanded
        aria-controls={id}
        aria-activedescendant={found.length > 0 ? `${id}-${at}` : undefined}
        placeholder={texts.shell.paletteHint}
        value={query}
        onChange={(event) => {
          setQuery(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div id={id} role="listbox" aria-label={texts.shell.palette} className={styles.list}>
        {found.map((action, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: keys are handled by the field above, as of a combobox
          <div
            key={action.label}
            id={`${id}-${i}`}
            role="option"
            tabIndex={-1}
            aria-selected={i === at}
            className={styles.choice}
            onClick={() => take(action)}
            onMouseMove={() => setChosen(i)}
          >
            <action.Icon size={18} stroke={1.7} aria-hidden />
            {action.label}
          </div>
        ))}
      </div>
      {found.length === 0 && <p className={styles.none}>{texts.shell.paletteNone}</p>}
    </>
  );
}
