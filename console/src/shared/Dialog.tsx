import { CloseButton } from '@mantine/core';
import { type ReactNode, useEffect, useRef } from 'react';
import { createPortal } from 'react-dom';
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

/**
 * The browser's own modal dialog: it holds the focus, gives it back, and closes by Escape.
 *
 * It stands beside all else of the page: in a panel that a narrower window hides it would vanish
 * with the panel, and the page would stay modal.
 */
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
  const closing = (
    <CloseButton className={styles.close} aria-label={texts.close} onClick={onClose} />
  );
  return createPortal(
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
          {side && closing}
          {!bare && <h2>{title}</h2>}
          {children}
          {/* Last, so that the focus begins where something is to be done. */}
          {!bare && !side && closing}
        </div>
      )}
    </dialog>,
    document.body,
  );
}
