/** The charts of the page Network, fed as the stream feeds them; `charts.journey.ts` bundles it. */

import '../src/app/mantine.css';
import '../src/app/tokens.css';
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import type { Schemas } from '../src/api/client';
import { keys, LiveFeed } from '../src/api/live';
import { Charts } from '../src/features/network/Charts';

const BEGIN_S = 1_800_000_000;
const EVERY_S = 0.1;
const TO_A_FRAME = 4;
const cache = new QueryClient({
  defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY, enabled: false } },
});

/** A stream that says what it is told to. */
class Source extends EventTarget {
  readonly readyState = 1;
  onerror = null;
  close(): void {}
}
const source = new Source();
const feed = new LiveFeed(cache, () => source as unknown as EventSource);

let passed_s = 0;
Date.now = () => 1000 * (BEGIN_S + passed_s);

function block(seq: number): Schemas['BlockView'] {
  const wave = Math.sin(seq / 40);
  return {
    ...{ seq, number: seq, at: BEGIN_S + passed_s, probe: false, protocol: 'e91' },
    ...{ accepted: true, reason: null, message: null, pulses: 50_000, detected: 50_000 },
    ...{ sifted_bits: 11_000, leaked_bits: 1900, secret_bits: 4000, epsilon: 1e-9 },
    ...{
      qber: 0.02 + 0.004 * wave,
      qber_stderr: 0.001,
      chsh: 2.7 + 0.05 * wave,
      chsh_stderr: 0.01,
    },
  };
}

function Page() {
  const network = useQuery<Schemas['NetworkView']>({ queryKey: keys.network }).data;
  const blocks = useQuery<Schemas['BlockView'][]>({ queryKey: keys.blocks }).data ?? [];
  const stocks = useQuery<Schemas['StockView'][]>({ queryKey: keys.stock }).data ?? [];
  return network && <Charts {...{ network, blocks, stocks }} records={[]} events={[]} />;
}

const thresholds = { yellow_qber: 0.05, red_qber: 0.11, chsh_floor: 2.2, chsh_classical: 2 };
cache.setQueryData(keys.network, { thresholds: { ...thresholds, chsh_quantum: Math.SQRT2 * 2 } });
cache.setQueryData(keys.blocks, []);
cache.setQueryData(keys.stock, []);
feed.start();
createRoot(document.body.appendChild(document.createElement('main'))).render(
  <MantineProvider>
    <QueryClientProvider client={cache}>
      <Page />
    </QueryClientProvider>
  </MantineProvider>,
);

const say = (name: string, content: object) =>
  source.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(content) }));

/** So many tenths of a second, four to a frame; seconds that a frame took. */
async function feedCharts(from: number, count: number): Promise<number> {
  const began = performance.now();
  for (let seq = from; seq < from + count; seq += 1) {
    passed_s = seq * EVERY_S;
    say('block', block(seq));
    const amounts = { stock_bits: 100_000 + 3 * seq, reserve_sets: 9, made_per_s: 40_000 };
    say('stock', { at: BEGIN_S + passed_s, ...amounts, change_per_s: 30, empty_at: null });
    if (seq % TO_A_FRAME === 0) await new Promise(requestAnimationFrame);
  }
  return (performance.now() - began) / 1000 / (count / TO_A_FRAME);
}
Object.assign(globalThis, { feedCharts });
