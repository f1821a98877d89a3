/** A page whose site is away for a while. */

import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { hasNoBarriers, PATIENCE } from './browser';

/**
 * Another port of a site, which can be out of reach while the site goes on for everybody else: what
 * the driver of Firefox takes off the network is its pages, and not what works behind them.
 */
export class Wire {
  private readonly server: Server;
  private readonly browsers = new Set<Socket>();
  private isAway = false;

  constructor(private readonly site: URL) {
    this.server = createServer((browser) => {
      if (this.isAway) {
        browser.destroy();
        return;
      }
      this.browsers.add(browser);
      const onward = connect(Number(site.port), site.hostname);
      // Either that ends, or fails, ends the other.
      pipeline(browser, onward, () => this.browsers.delete(browser));
      pipeline(onward, browser, () => {});
    });
  }

  /** Begin; where the site is found then. */
  async start(): Promise<string> {
    const { hostname } = this.site;
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject).listen(0, hostname, resolve);
    });
    return `http://${hostname}:${(this.server.address() as AddressInfo).port}/`;
  }

  setAway(isAway: boolean): void {
    this.isAway = isAway;
    if (isAway) for (const each of this.browsers) each.destroy();
  }

  stop(): void {
    this.setAway(true);
    this.server.close();
  }
}

/**
 * The page opens without its site, by what the browser kept, says so, and heals by itself.
 *
 * @param page Of the network, signed in.
 * @param setAway Has the site out of reach, or back.
 */
export async function openWithoutSite(
  page: Page,
  setAway: (isAway: boolean) => void | Promise<void>,
): Promise<void> {
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null, null, PATIENCE);
  const kept = await page.evaluate(async () => {
    const [name = ''] = await caches.keys();
    const found = await (await caches.open(name)).keys();
    return found.map(({ url }) => new URL(url).pathname);
  });
  expect(kept).toContain('/');
  // Nothing but what was built: above all, nothing of `/api`.
  expect(kept.filter((path) => !/^\/(assets\/|icon|manifest|$)/.test(path))).toEqual([]);
  await setAway(true);
  await page.reload();
  await page.getByRole('heading', { name: 'The site does not answer' }).waitFor(PATIENCE);
  await hasNoBarriers(page, 'without the site', ['dark']);
  await setAway(false);
  await page.getByText('Keys flow.').waitFor(PATIENCE);
}
