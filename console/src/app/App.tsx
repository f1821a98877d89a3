import './mantine.css';
import '@mantine/notifications/styles.css';
import './tokens.css';
import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { MutationCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { ApiError } from '../api/client';
import { LiveFeed } from '../api/live';
import { tell } from '../shared/tell';
import { LiveContext } from './live';
import { makeRouter } from './router';
import { theme } from './theme';

const cache: QueryClient = new QueryClient({
  defaultOptions: {
    queries: {
      networkMode: 'always', // the site may be this machine, which needs no network
      staleTime: Number.POSITIVE_INFINITY, // the stream says what changes
      refetchOnWindowFocus: false,
      retry: (count, error) => count < 2 && error instanceof ApiError && error.status >= 500,
    },
    mutations: { networkMode: 'always' },
  },
  mutationCache: new MutationCache({
    onError: (error, _, __, mutation) => {
      if (!mutation.meta?.told) tell(error); // else the form that asked says it
    },
  }),
});
const feed = new LiveFeed(cache);
const router = makeRouter(cache);

export function App() {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <QueryClientProvider client={cache}>
        <LiveContext value={feed}>
          <Notifications position="bottom-right" />
          <RouterProvider router={router} />
        </LiveContext>
      </QueryClientProvider>
    </MantineProvider>
  );
}
