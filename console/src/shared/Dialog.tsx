import { type ReactNode, useEffect, useRef } from 'react';
import styles from './Dialog.module.css';

interface DialogProps {
  opened: boolean;
  onClose: () => void;
  title: string;
  /** The title is for those who hear the page: what is inside shows what it is. */
  bare?: boolean;
  children: ReactNode;
}

/** The browser's own modal dialog: it holds the focus, gives it back, and closes by Escape. */
export function Dialog({ opened, onClose, title, bare = false, children }: DialogProps) {
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
      aria-label={title}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      {opened && (
        <div className={styles.inside}>
          {!bare && <h2>{title}</h2>}
          {children}
        </div>
      )}
    </dialog>
  );
}
