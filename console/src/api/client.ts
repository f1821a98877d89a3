/** What the console's server answers, in the types that its description gives. */

import createClient from 'openapi-fetch';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
/** As `openapi-fetch` reads it: a pair becomes a list. */
export type Session = Omit<Schemas['SessionView'], 'members'> & { members: readonly string[] };
export type MadeSession = Omit<Schemas['MadeSession'], 'session'> & { session: Session };
export type Level = Schemas['LinkView']['status'];

/** The server refused, or did not answer at all (`status` is 0 then). */
export class ApiError extends Error {
  override name = 'ApiError';

  constructor(
    readonly status: number,
    message: string,
    /** Seconds after which asking again may help. */
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

/** Nothing that is asked takes as long: a network that has gone silent counts as no answer. */
export const ANSWER_WITHIN_MS = 60_000;

export const client = createClient<paths>({
  baseUrl: '',
  headers: { 'content-type': 'application/json' },
  // Read at each call, so that tests may put another in its place.
  fetch: (request) => {
    const late = AbortSignal.timeout(ANSWER_WITHIN_MS);
    return globalThis.fetch(request, { signal: AbortSignal.any([request.signal, late]) });
  },
});

export interface Answer<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

/**
 * The body of an answer.
 *
 * @throws ApiError for everything else.
 */
export async function body<T>(asked: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await asked;
  } catch {
    throw new ApiError(0, '');
  }
  if (answer.response.ok && answer.data !== undefined) return answer.data;
  const said = answer.error as { message?: unknown } | undefined;
  const wait = Number(answer.response.headers.get('retry-after'));
  throw new ApiError(
    answer.response.status,
    typeof said?.message === 'string' ? said.message : '',
    wait > 0 ? wait : null,
  );
}
