/** Debian's browsers, and what journeys and pictures have in common. */

import { existsSync } from 'node:fs';
import axe from 'axe-core';
import {
  type Browser,
  type BrowserContext,
  chromium,
  firefox,
  type Locator,
  type Page,
} from 'playwright-core';
import { expect } from 'vitest';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const OF_FIREFOX = ['/usr/bin/firefox-esr', '/usr/bin/firefox'];

/** For whatever a page waits for: it counts for what hangs, however slow the machine is. */
export const PATIENCE = { timeout: 180_000 };

export async function launch(...more: string[]): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? which('Chromium', PLACES);
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath, args: [...sandbox, ...more] });
}

/**
 * Firefox as its makers built it, over WebDriver BiDi, with nothing fading.
 *
 * @param home Folder of its own: as root it starts in no folder of somebody else's.
 * @param downloadsPath For what pages save.
 */
export async function launchFirefox(home: string, downloadsPath: string): Promise<Browser> {
  const executablePath = process.env.FIREFOX ?? which('Firefox', OF_FIREFOX);
  return firefox.launch({
    channel: 'moz-firefox',
    executablePath,
    downloadsPath,
    ...PATIENCE,
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: '', XDG_CACHE_HOME: '' },
    firefoxUserPrefs: { 'ui.prefersReducedMotion': 1 },
  });
}

function which(name: string, places: readonly string[]): string {
  const found = places.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`no ${name} at ${places.join(', ')}`);
  return found;
}

/** A page that fails its journey with whatever the browser complains of. */
export async function openPage(context: BrowserContext, complaints: string[]): Promise<Page> {
  context.setDefaultTimeout(PATIENCE.timeout);
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${message.text()} ${message.location().url}`);
  });
  return page;
}

/**
 * Write in the place of what a field has, key by key: of what the driver of Firefox inserts, React
 * hears nothing.
 */
export async function write(field: Locator, words: string): Promise<void> {
  await field.press('ControlOrMeta+a');
  await field.pressSequentially(words);
}

export const PASSWORD = 'four entangled words of a test';

/** By the one-time link, choosing a password. */
export async function enter(page: Page, link: string): Promise<void> {
  page.context().setDefaultTimeout(PATIENCE.timeout);
  await page.goto(link);
  await page.getByLabel('New password').fill(PASSWORD);
  await page.getByLabel('The same once more').fill(PASSWORD);
  await page.getByRole('button', { name: 'Set password and sign in' }).click();
  await page.waitForURL(/#\/network$/);
}

/** What axe finds on a page, in these themes: nothing. Firefox has the one of its page alone. */
export async function hasNoBarriers(
  page: Page,
  name: string,
  schemes: readonly ('dark' | 'light')[] = ['dark', 'light'],
): Promise<void> {
  // WebDriver BiDi of Firefox ESR 153 emulates no theme.
  if (page.context().browser()?.browserType().name() === 'firefox')
    return hasNoBarriersNow(page, name);
  for (const colorScheme of schemes) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor();
    await hasNoBarriersNow(page, `${name}, ${colorScheme}`);
  }
}

async function hasNoBarriersNow(page: Page, name: string): Promise<void> {
  // Run in the page's own world, which its content policy does not bind.
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { violations } = await (
      globalThis as unknown as { axe: { run: () => Promise<axe.AxeResults> } }
    ).axe.run();
    return violations.map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`,
    );
  });
  expect.soft(found, name).toEqual([]);
}

/**
 * Nothing of a page is wider than a phone.
 *
 * @param opened A dialog that is open, and stays so.
 */
export async function fitsPhone(page: Page, opened?: Locator): Promise<void> {
  await page.setViewportSize({ width: 390, height: 844 });
  // Charts follow the window once they have seen that it has changed.
  await page.waitForFunction(() => document.documentElement.scrollWidth <= 390, null, PATIENCE);
  if (opened) expect(await opened.isVisible()).toBe(true);
  await page.setViewportSize({ width: 1366, height: 860 });
}
