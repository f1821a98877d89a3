import { Button, TextInput } from '@mantine/core';
import { queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { body, client, type Schemas } from '../../api/client';
import { keys } from '../../api/live';
import { Panel } from '../../shared/Panel';
import { tell } from '../../shared/tell';
import { texts } from '../../shared/texts';
import { Words } from '../../shared/Words';
import styles from './Relay.module.css';

const say = texts.network;
const RENEWED_MS = 2000;

type Level = Schemas['RelayPlaces']['level'];
const LEVELS: readonly Level[] = ['home', 'port', 'address', 'interface', 'lockdown'];

const relay = queryOptions({
  queryKey: keys.relay,
  queryFn: async () => (await body(client.GET('/api/relay'))).relay,
  refetchInterval: RENEWED_MS,
});

/** The ladder of the site's relay: each step can be taken from each other, and back. */
export function Relay({ acts }: { acts: boolean }) {
  const { data: there } = useQuery(relay);
  const cache = useQueryClient();
  const [place, setPlace] = useState('');
  const move = useMutation({
    mutationFn: (level: Level) => {
      const named = place.trim() !== '' && level !== 'home' && level !== 'lockdown';
      const places = named ? [place.trim()] : [];
      return body(client.POST('/api/relay', { body: { level, places } }));
    },
    onSuccess: (now) => {
      setPlace('');
      cache.setQueryData(keys.relay, now);
    },
    onError: tell,
  });
  if (there === undefined) return null;
  return (
    <Panel title={say.relay}>
      {there === null ? (
        <p className={styles.note}>
          <Words>{say.relayNone}</Words>
        </p>
      ) : (
        <>
          <p className={styles.note}>{say.relayLead}</p>
          <ol className={styles.ladder}>
            {LEVELS.map((level) => (
              <Step
                key={level}
                level={level}
                there={there}
                acts={acts}
                busy={move.isPending}
                onMove={() => move.mutate(level)}
              />
            ))}
          </ol>
          {acts && (
            <TextInput
              label={say.relayPlace}
              description={say.relayPlaceWhat}
              placeholder={say.relayPlaceHint}
              value={place}
              onChange={(event) => setPlace(event.currentTarget.value)}
              maxLength={600}
              autoCapitalize="none"
              spellCheck={false}
            />
          )}
        </>
      )}
    </Panel>
  );
}

interface StepProps {
  level: Level;
  there: Schemas['RelayPlaces'];
  acts: boolean;
  busy: boolean;
  onMove: () => void;
}

function Step({ level, there, acts, busy, onMove }: StepProps) {
  const [name, what] = say.relayLevels[level];
  const here = there.level === level;
  // Another move within a level leads to another place; there is one home, and one lockdown.
  const useless = here && (level === 'home' || level === 'lockdown');
  return (
    <li aria-current={here ? 'step' : undefined} data-lockdown={level === 'lockdown' || undefined}>
      <div>
        <strong>{name}</strong>
        {here ? (
          <span className={styles.places}>
            {there.places.length > 0 ? there.places.join(', ') : say.relayNowhere}
          </span>
        ) : (
          <span>{what}</span>
        )}
      </div>
      {acts && (
        <Button
          size="compact-sm"
          variant="default"
          disabled={busy || useless}
          aria-label={say.relayMove(name)}
          onClick={onMove}
        >
          {say.relayGo}
        </Button>
      )}
    </li>
  );
}
