// @vitest-environment node
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ANSWER_WITHIN_MS, ApiError, body, client } from './client';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** A server that never answers; what becomes of a request to it. */
function silent(asked?: AbortSignal) {
  vi.stubGlobal(
    'fetch',
    (_: Request, { signal }: { signal: AbortSignal }) =>
      new Promise((_done, failed) => {
        signal.addEventListener('abort', () => failed(signal.reason));
      }),
  );
  // No page gives its own address here, as it does in a browser.
  const signal = asked ? { signal: asked } : {};
  return body(client.GET('/api/network', { baseUrl: 'http://127.0.0.1', ...signal }));
}

describe('a request', () => {
  it('counts as not answered after a time', async () => {
    const late = new AbortController();
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(late.signal);
    const asked = expect(silent()).rejects.toMatchObject({ name: 'ApiError', status: 0 });
    await vi.waitFor(() => expect(timeout).toHaveBeenCalledExactlyOnceWith(ANSWER_WITHIN_MS));
    late.abort();
    await asked;
  });

  it('is still given up by who asked', async () => {
    const asker = new AbortController();
    const asked = expect(silent(asker.signal)).rejects.toThrow(ApiError);
    await vi.waitFor(() => expect(fetch).toBeDefined());
    asker.abort();
    await asked;
  });
});
