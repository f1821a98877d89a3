import { useState } from 'react';
import { reason } from './words';

interface Work {
  /** What is under way; null: nothing. */
  readonly busy: string | null;
  /** Why the last did not go, in words. */
  readonly problem: string | null;
  /** Do something; whether it went. */
  readonly run: (what: string, work: () => Promise<void>) => Promise<boolean>;
}

/** One thing at a time that people ask for, and why it did not go. */
export function useWork(): Work {
  const [busy, setBusy] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const run = async (what: string, work: () => Promise<void>) => {
    setBusy(what);
    setProblem(null);
    try {
      await work();
      return true;
    } catch (error) {
      setProblem(reason(error));
      return false;
    } finally {
      setBusy(null);
    }
  };
  return { busy, problem, run };
}
