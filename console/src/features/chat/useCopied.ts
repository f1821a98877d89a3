import { useState } from 'react';
import { tell } from '../../shared/tell';

/** Put something where it can be pasted from, and say that it is there. */
export function useCopied(): { isCopied: boolean; copy: (text: string) => Promise<void> } {
  const [isCopied, setCopied] = useState(false);
  const copy = async (text: string) => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch (error) {
      tell(error);
    }
  };
  return { isCopied, copy };
}
