import { type ReactNode, useEffect, useRef } from 'react';
import styles from './Disclosure.module.css';

interface DisclosureProps {
  /** What the button is for, in words. */
  label: string;
  icon: ReactNode;
  /** Closes when something in it is chosen, as of a menu. */
  menu?: boolean;
  children: ReactNode;
}

/** A button that shows a small box beside it; the browser's own `details`, which needs no library. */
export function Disclosure({ label, icon, menu = false, children }: DisclosureProps) {
  const box = useRef<HTMLDetailsElement>(null);
  const button = useRef<HTMLElement>(null);

  useEffect(() => {
    const elsewhere = (event: Event) => {
      const { current } = box;
      if (current?.open && !current.contains(event.target as Node)) current.open = false;
    };
    document.addEventListener('pointerdown', elsewhere);
    document.addEventListener('focusin', elsewhere);
    return () => {
      document.removeEventListener('pointerdown', elsewhere);
      document.removeEventListener('focusin', elsewhere);
    };
  }, []);

  const close = () => {
    if (box.current) box.current.open = false;
    button.current?.focus();
  };
  return (
    <details
      ref={box}
      className={styles.disclosure}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && box.current?.open) {
          event.stopPropagation();
          close();
        }
      }}
    >
      <summary ref={button} aria-label={label} title={label}>
        {icon}
      </summary>
      {/* biome-ignore lint/a11y/noStaticElementInteractions lint/a11y/useKeyWithClickEvents: clicks of the buttons inside, which keys make as well */}
      <div className={styles.box} data-menu={menu || undefined} onClick={menu ? close : undefined}>
        {children}
      </div>
    </details>
  );
}
