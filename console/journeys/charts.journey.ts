/**
 * An hour of charts at 10 Hz in compressed time, four points to a frame; what the page keeps is read
 * from the browser. `tools/measure_charts.py` gives CHARTS, where the figures go.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { it } from 'vitest';
import { launch } from './browser';

const HOME = 'http://localhost/';
const POINTS = 36_000;
const PARTS = 12;

async function main(file: string): Promise<void> {
  const made = await build({
    configFile: false,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"' },
    oxc: { jsx: { runtime: 'automatic', development: false } },
    build: {
      write: false,
      target: 'es2023',
      lib: {
        entry: join(import.meta.dirname, 'charts-page.tsx'),
        formats: ['es'],
        cssFileName: 'charts',
      },
      rollupOptions: { output: { codeSplitting: false } },
    },
  });
  const [first] = [made].flat();
  if (!first || !('output' in first)) throw new Error('expected what was built, got nothing');
  const files = new Map<string, string>();
  for (const each of first.output)
    files.set(
      each.type === 'chunk' ? 'charts.js' : each.fileName,
      each.type === 'chunk' ? each.code : String(each.source),
    );
  const browser = await launch('--disable-frame-rate-limit', '--disable-gpu-vsync');
  const page = await browser.newPage({ viewport: { width: 1366, height: 860 } });
  await page.route(`${HOME}**`, (route) => {
    const name = new URL(route.request().url()).pathname.slice(1);
    const body = files.get(name);
    if (name === '')
      return route.fulfill({
        contentType: 'text/html',
        body: '<!doctype html><link rel=stylesheet href=charts.css><body><script type=module src=charts.js></script>',
      });
    const contentType = name.endsWith('.css') ? 'text/css' : 'text/javascript';
    return route.fulfill(body === undefined ? { status: 404 } : { contentType, body });
  });
  page.on('pageerror', (error) => console.log(error.stack));
  await page.goto(HOME);
  await page.waitForFunction('globalThis.feedCharts');
  const cdp = await page.context().newCDPSession(page);
  const rows = [];
  for (let part = 0; part <= PARTS; part += 1) {
    const count = POINTS / PARTS;
    const drawn_s =
      part === 0 ? 0 : await page.evaluate(`feedCharts(${(part - 1) * count}, ${count})`);
    await cdp.send('HeapProfiler.collectGarbage');
    const { usedSize } = await cdp.send('Runtime.getHeapUsage');
    const { nodes } = await cdp.send('Memory.getDOMCounters');
    rows.push({ points: part * count, heap_bytes: usedSize, dom_nodes: nodes, drawn_s });
    writeFileSync(file, JSON.stringify(rows));
  }
  await page.screenshot({ path: `${file}.png`, fullPage: true });
  await browser.close();
}

const { CHARTS: file } = process.env;

it.runIf(file)('charts', () => main(file ?? ''), 3_600_000);
