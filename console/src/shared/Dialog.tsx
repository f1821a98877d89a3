import { CloseButton } from '@mantine/core';
import { type ReactNode, useEffect, useRef } from 'react';
import styles from './Dialog.module.css';
import { texts } from './texts';

interface DialogProps {
  opened: boolean;
  onClose: () => void;
  title: string;
  /** The title is for those who hear the page: what is inside shows what it is. */
  bare?: boolean;
  /** At the side, as high as the window: what is beside it stays in sight. */
  side?: boolean;
  children: ReactNode;
}

/** The browser's own modal dialog: it holds the focus, gives it back, and closes by Escape. */
export function Dialog({
  opened,
  onClose,
  title,
  bare = false,
  side = false,
  children,
}: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (opened) dialog.current?.showModal();
    else dialog.current?.close();
  }, [opened]);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a click beside the dialog; by keys, Escape closes it
    <dialog
      ref={dialog}
      className={styles.dialog}
      data-bare={bare || undefined}
      data-side={side || undefined}
      aria-label={title}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      {opened && (
        <div className={styles.inside}>
          {side && (
            <CloseButton className={styles.close} aria-label={texts.close} onClick={onClose} />
          )}
          {!bare && <h2>{title}</h2>}
          {children}
        </div>
      )}
    </dialog>
  );
}
