/** The experiment of the page: its settings follow the address, and its result the settings. */

import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { Schemas } from '../../api/client';
import { experiment } from '../../api/queries';
import { askedOf, type Settings, searchOf, settingsOf } from './settings';

const SETTLED_MS = 180;

const route = getRouteApi('/inside/lab');

export function useSettings(): [Settings, (change: Partial<Settings>) => void] {
  const said = route.useSearch(); // with whatever else stands in the address
  const search = useMemo(() => searchOf(said), [said]);
  const navigate = route.useNavigate();
  const [settings, setSettings] = useState(() => settingsOf(search));
  const [settled] = useDebouncedValue(settings, SETTLED_MS);
  const written = useRef(JSON.stringify(search));

  // While a slider moves the address waits: browsers slow pages down that write it all the time.
  useEffect(() => {
    const next = searchOf({ ...settled });
    if (written.current === JSON.stringify(next)) return;
    written.current = JSON.stringify(next);
    void navigate({ search: next, replace: true });
  }, [settled, navigate]);

  useEffect(() => {
    if (written.current === JSON.stringify(search)) return;
    written.current = JSON.stringify(search);
    setSettings(settingsOf(search));
  }, [search]);

  const change = useCallback(
    (some: Partial<Settings>) => setSettings((old) => ({ ...old, ...some })),
    [],
  );
  return [settings, change];
}

export function useExperiment(settings: Settings, offer: Schemas['ProtocolOffer']) {
  const wanted = useMemo(() => askedOf(settings, offer), [settings, offer]);
  const [asked] = useDebouncedValue(wanted, SETTLED_MS);
  return useQuery({ ...experiment(asked), placeholderData: keepPreviousData });
}
