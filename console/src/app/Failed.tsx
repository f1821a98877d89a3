import { useRouter } from '@tanstack/react-router';
import { useEffect } from 'react';
import { ApiError } from '../api/client';
import { explain, Trouble } from '../shared/Trouble';
import { texts } from '../shared/texts';

const AGAIN_MS = 2000;

/** A page that cannot be shown; one whose site is away comes by itself when that is back. */
export function Failed({ error, reset }: { error: unknown; reset: () => void }) {
  const router = useRouter();
  const away = error instanceof ApiError && error.status === 0;

  useEffect(() => {
    if (!away) return;
    const again = setInterval(async () => {
      const answer = await fetch('/healthz').catch(() => null);
      if (!answer?.ok) return;
      reset();
      await router.invalidate();
    }, AGAIN_MS);
    return () => clearInterval(again);
  }, [away, reset, router]);

  return (
    <Trouble
      alone
      {...explain(error)}
      action={{
        label: texts.again,
        run: () => {
          reset();
          window.location.reload();
        },
      }}
    />
  );
}
