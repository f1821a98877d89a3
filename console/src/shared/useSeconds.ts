import { useEffect, useState } from 'react';

/** Seconds since 1970, renewed each second, or less often, while it is asked for. */
export function useSeconds(running: boolean, every = 1): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setNow(Date.now() / 1000), every * 1000);
    return () => clearInterval(timer);
  }, [running, every]);
  return now;
}
