import type { QueryClient } from '@tanstack/react-query';
import {
  createHashHistory,
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';
import { me } from '../api/queries';
import { searchOf } from '../features/lab/settings';
import { SignIn } from '../features/sign-in/SignIn';
import { Welcome } from '../features/sign-in/Welcome';
import { Trouble } from '../shared/Trouble';
import { texts } from '../shared/texts';
import { Failed } from './Failed';
import { Shell } from './Shell';

const root = createRootRouteWithContext<{ cache: QueryClient }>()({
  component: Outlet,
  errorComponent: Failed,
  notFoundComponent: NotFound,
});

const signIn = createRoute({ getParentRoute: () => root, path: '/sign-in', component: SignIn });

const welcome = createRoute({
  getParentRoute: () => root,
  path: '/welcome/{-$code}',
  component: () => <Welcome code={welcome.useParams().code} />,
});

const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  beforeLoad: async ({ context }) => {
    if ((await context.cache.fetchQuery({ ...me, staleTime: 5000 })) === null)
      throw redirect({ to: '/sign-in', replace: true });
  },
  component: Shell,
  errorComponent: Failed,
});

const index = createRoute({
  getParentRoute: () => inside,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/network', replace: true });
  },
});

const network = createRoute({
  getParentRoute: () => inside,
  path: '/network',
  component: lazyRouteComponent(() => import('../features/network/NetworkPage'), 'NetworkPage'),
});

const devices = createRoute({
  getParentRoute: () => inside,
  path: '/devices',
  component: lazyRouteComponent(() => import('../features/devices/DevicesPage'), 'DevicesPage'),
});

const register = createRoute({
  getParentRoute: () => inside,
  path: '/register',
  component: lazyRouteComponent(() => import('../features/register/RegisterPage'), 'RegisterPage'),
});

const chat = createRoute({
  getParentRoute: () => inside,
  path: '/chat',
  component: lazyRouteComponent(() => import('../features/chat/ChatPage'), 'ChatPage'),
});

export interface RecordSearch {
  kind?: string;
  writer?: string;
  handle?: string;
  before?: number;
  start?: number;
  entry?: number;
}

const words = ['kind', 'writer', 'handle'] as const;
const numbers = ['before', 'start', 'entry'] as const;

const record = createRoute({
  getParentRoute: () => inside,
  path: '/record',
  validateSearch: (search: Record<string, unknown>): RecordSearch => {
    const found: RecordSearch = {};
    for (const name of words) {
      const value = search[name];
      if (typeof value === 'string' && value !== '') found[name] = value.slice(0, 64);
    }
    for (const name of numbers) {
      const value = Number(search[name] ?? Number.NaN);
      if (Number.isSafeInteger(value) && value >= 0) found[name] = value;
    }
    return found;
  },
  component: lazyRouteComponent(() => import('../features/record/RecordPage'), 'RecordPage'),
});

const lab = createRoute({
  getParentRoute: () => inside,
  path: '/lab',
  validateSearch: searchOf,
  component: lazyRouteComponent(() => import('../features/lab/LabPage'), 'LabPage'),
});

function NotFound() {
  return (
    <Trouble
      alone
      title={texts.shell.notFound}
      what=""
      action={{ label: texts.shell.toNetwork, run: () => window.location.assign('#/network') }}
    />
  );
}

export function makeRouter(cache: QueryClient) {
  return createRouter({
    routeTree: root.addChildren([
      signIn,
      welcome,
      inside.addChildren([index, chat, network, devices, register, lab, record]),
    ]),
    history: createHashHistory(),
    context: { cache },
    defaultPreload: 'intent',
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
