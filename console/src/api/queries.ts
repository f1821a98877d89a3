/** What pages ask for. The stream keeps most of it current, so nothing is asked for twice. */

import { queryOptions } from '@tanstack/react-query';
import { ApiError, body, client, type Schemas } from './client';
import { atOf, keys, merged, seqOf } from './live';

const PAGE = 1000;
const PAGES = 5;

export const about = queryOptions({
  queryKey: keys.about,
  queryFn: () => body(client.GET('/api/about')),
});

/** Null for nobody. */
export const me = queryOptions({
  queryKey: keys.me,
  queryFn: async (): Promise<Schemas['Me'] | null> => {
    try {
      return await body(client.GET('/api/me'));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
});

export const network = queryOptions({
  queryKey: keys.network,
  queryFn: () => body(client.GET('/api/network')),
});

export const blocks = queryOptions({
  queryKey: keys.blocks,
  queryFn: async ({ client: cache }): Promise<Schemas['BlockView'][]> => {
    let found: Schemas['BlockView'][] = [];
    for (let page = 0; page < PAGES; page += 1) {
      const before = found[0]?.seq;
      const query = { limit: PAGE, ...(before === undefined ? {} : { before }) };
      const got = await body(client.GET('/api/blocks', { params: { query } }));
      found = [...got.blocks, ...found];
      if (!got.more) break;
    }
    // What the stream brought meanwhile is newer than the answer.
    return merged(
      found,
      cache
        .getQueryData<Schemas['BlockView'][]>(keys.blocks)
        ?.filter((each) => each.seq > (found.at(-1)?.seq ?? -1)) ?? [],
      seqOf,
    );
  },
});

export const stock = queryOptions({
  queryKey: keys.stock,
  queryFn: async ({ client: cache }): Promise<Schemas['StockView'][]> => {
    const { samples } = await body(client.GET('/api/stock'));
    const newer = cache.getQueryData<Schemas['StockView'][]>(keys.stock) ?? [];
    return merged(
      samples,
      newer.filter((each) => each.at > (samples.at(-1)?.at ?? 0)),
      atOf,
    );
  },
});

export const history = queryOptions({
  queryKey: keys.history,
  queryFn: async () =>
    (await body(client.GET('/api/history', { params: { query: { limit: 5000 } } }))).records,
});

export const events = queryOptions({
  queryKey: keys.events,
  queryFn: async () =>
    (await body(client.GET('/api/events', { params: { query: { limit: 500 } } }))).events,
});

/** Where people register, or null where no server of admission runs. */
export const door = queryOptions({
  queryKey: keys.door,
  queryFn: async () => (await body(client.GET('/api/register'))).door,
  staleTime: 5000,
});

export const chat = queryOptions({
  queryKey: keys.chat,
  queryFn: () => body(client.GET('/api/chat')),
});

export const lab = queryOptions({
  queryKey: keys.lab,
  queryFn: () => body(client.GET('/api/lab')),
});

/** One seed gives one result, so that none is asked for twice. */
export const experiment = (asked: Schemas['AskedExperiment']) =>
  queryOptions({
    queryKey: [...keys.experiment, asked],
    queryFn: ({ signal }) => body(client.POST('/api/lab/run', { body: asked, signal })),
    retry: (count, error) =>
      count < 3 && error instanceof ApiError && (error.status === 429 || error.status >= 500),
    retryDelay: (_, error) => 1000 * ((error instanceof ApiError && error.retryAfter) || 1),
  });

export const sessions = queryOptions({
  queryKey: keys.sessions,
  queryFn: async () => (await body(client.GET('/api/sessions'))).sessions,
});
