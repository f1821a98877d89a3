import { createContext, use, useEffect, useSyncExternalStore } from 'react';
import type { Connection, LiveFeed } from '../api/live';

export const LiveContext = createContext<LiveFeed | null>(null);

/** Listen to the site while the caller is shown; how the connection is. */
export function useConnection(): Connection {
  const feed = use(LiveContext);
  if (feed === null) throw new Error('a LiveContext is missing above');
  useEffect(() => feed.start(), [feed]);
  return useSyncExternalStore(feed.subscribe, feed.connection);
}
