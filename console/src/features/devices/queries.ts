import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { body, client, type Schemas } from '../../api/client';
import { keys } from '../../api/live';

const RENEWED_MS = 2000;
const KEPT_MS = 30_000;
export const MOST_READINGS = 60;

export type Cloud = NonNullable<Schemas['DevicesView']['cloud']>;
export type Device = Cloud['devices'][number];
export type Invitation = Cloud['invitations'][number];
export type Admission = NonNullable<Schemas['NewcomersView']['admission']>;
export type Registration = Admission['registrations'][number];
export type Evidence = Admission['turned_away'][number];
export type Decision = Schemas['Decided']['decision'];
export type Readings = Schemas['ReadingsView'];

/** The cloud and its devices, or null where none runs. */
export const devices = (find: string) =>
  queryOptions({
    queryKey: [...keys.devices, 'all', find],
    queryFn: async () =>
      (await body(client.GET('/api/devices', { params: { query: find ? { find } : {} } }))).cloud,
    placeholderData: keepPreviousData,
    refetchInterval: RENEWED_MS,
    gcTime: KEPT_MS,
  });

export const readings = (device: string) =>
  queryOptions({
    queryKey: [...keys.devices, 'readings', device],
    queryFn: () =>
      body(
        client.GET('/api/devices/readings', {
          params: { query: { device, limit: MOST_READINGS } },
        }),
      ),
    refetchInterval: RENEWED_MS,
    gcTime: KEPT_MS,
  });

export const messages = queryOptions({
  queryKey: [...keys.devices, 'messages'],
  queryFn: async () =>
    (await body(client.GET('/api/devices/messages', { params: { query: { limit: 50 } } }))).routes,
  refetchInterval: RENEWED_MS,
  gcTime: KEPT_MS,
});

/** The server of admission and its newcomers, or null where none runs. */
export const newcomers = queryOptions({
  queryKey: keys.newcomers,
  queryFn: async () => (await body(client.GET('/api/admission'))).admission,
  refetchInterval: RENEWED_MS,
});
