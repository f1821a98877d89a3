/**
 * Keeps the console's pages where the browser is, so that it opens without its site and says so.
 *
 * Only what the build made is kept, under the build's own name: nothing that the site answers, and
 * never `/api`. The page itself is asked for anew each time, so a new build is there at once; the
 * rest has its content in its name. FILES and VERSION are put in front by `build.ts`.
 */

export {};

declare const FILES: string[];
declare const VERSION: string;

interface Lasting extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Asked extends Event {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}
/** What of `ServiceWorkerGlobalScope` is used: its own library contradicts that of pages. */
declare const self: {
  readonly location: Location;
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(name: 'install' | 'activate', work: (event: Lasting) => void): void;
  addEventListener(name: 'fetch', work: (event: Asked) => void): void;
};

const OURS = 'bellwire-';
const NAME = OURS + VERSION;

self.addEventListener('install', (event) => {
  const keep = async () => {
    const kept = await caches.open(NAME);
    await kept.addAll(FILES.map((path) => new Request(path, { cache: 'no-cache' })));
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});

self.addEventListener('activate', (event) => {
  const replace = async () => {
    const names = await caches.keys();
    const old = names.filter((name) => name.startsWith(OURS) && name !== NAME);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(replace());
});

async function kept(path: string): Promise<Response> {
  const found = await (await caches.open(NAME)).match(path);
  return found ?? Response.error();
}

async function newest(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch {
    return kept('/');
  }
}

async function once(request: Request, path: string): Promise<Response> {
  const found = await kept(path);
  return found.type === 'error' ? fetch(request) : found;
}

self.addEventListener('fetch', (event) => {
  const { method, url, mode } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== 'GET' || origin !== self.location.origin || !FILES.includes(pathname)) return;
  if (mode === 'navigate') event.respondWith(newest(event.request));
  else event.respondWith(once(event.request, pathname));
});
