/**
 * The story of the link, told by clicks alone, with the real services behind: LINK is an address
 * with a one-time link, which `tests/pages` hands over, OTHER_LINK that of the other site, RECEIPT
 * where a receipt is to be saved, REGISTERED the folder for the keys of registrations, CORRESPONDENT
 * the command of somebody to talk to, and SAID what the services have said.
 */

import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWithoutSite } from './away';
import {
  enter,
  fitsPhone,
  launch,
  openPage,
  PASSWORD,
  PATIENCE,
  hasNoBarriers as pageHasNoBarriers,
} from './browser';
import { device } from './device';
import { letEveIn, seesGreen, seesRed, sendEveAway } from './eve';
import { talkInGroup } from './group';
import { beFound, findTerminal } from './handles';
import { carryHistory } from './history';
import { large } from './large';
import { keepNotes } from './notes';
import { registerName } from './register';
import { renew } from './renewal';
import { savesOf } from './saves';
import { hearEachOther, reopen, withTerminal } from './terminal';
import { two } from './two';

const { LINK: link = '', OTHER_LINK: other = '', RECEIPT: receipt = '' } = process.env;
const { SAID: said = '', REGISTERED: registered = '' } = process.env;
/** Nothing fades, so a colour that is looked at is the colour that stays. */
const QUIET = { reducedMotion: 'reduce' } as const;

describe.runIf(link)('an operator', () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await launch();
    context = await browser.newContext(QUIET);
    page = await openPage(context, complaints);
  });

  afterAll(() => browser.close());

  const hasNoBarriers = (name: string, schemes?: readonly ('dark' | 'light')[]) =>
    pageHasNoBarriers(page, name, schemes);

  it('is asked to open the one-time link', async () => {
    await page.goto(link.replace(/#.*/, ''));
    await page.getByText('Nobody has signed in here yet').waitFor(PATIENCE);
    await hasNoBarriers('sign-in');
  });

  it('chooses a password by it, and its code leaves the address at once', async () => {
    const code = link.split('/').at(-1) ?? '';
    await page.goto(link);
    await page.getByLabel('New password').waitFor();
    await page.waitForURL(/#\/welcome$/);
    await page.getByLabel('New password').fill('short');
    await page.getByLabel('The same once more').fill('other');
    await page.getByRole('button', { name: 'Set password and sign in' }).click();
    await page.getByText('At least 12 characters.').waitFor();
    await page.getByText('The two are not the same.').waitFor();
    await hasNoBarriers('welcome');
    await enter(page, link);
    expect(
      await page.evaluate(() => JSON.stringify([location.href, { ...localStorage }])),
    ).not.toContain(code);
  });

  it('sees the link green, with everything that is simulated marked', async () => {
    await seesGreen(page);
    expect(await page.getByText('simulated', { exact: true }).count()).toBeGreaterThan(2);
    await hasNoBarriers('network');
  });

  it('lets Eve in, and sees it everywhere', async () => {
    await letEveIn(page);
    await seesRed(page);
    await hasNoBarriers('network under attack');
  });

  it('gets no session key meanwhile, and reads why', async () => {
    await page.getByLabel('With whom').fill('nobody');
    await page.getByRole('button', { name: 'Make a session' }).click();
    await page.getByText('That did not work').waitFor(PATIENCE);
  });

  it('sends her away, and keys flow again', async () => {
    await sendEveAway(page);
  });

  it('runs experiments in the lab, and keeps two side by side', async () => {
    await page.getByRole('link', { name: 'Lab', exact: true }).click();
    await page.getByText(/^A key of \d/).waitFor(PATIENCE);
    await page.getByRole('img', { name: /^S is 2\.[67]/ }).waitFor();
    await page.getByText('bellwire lab run e91 --pulses 200000 --seed 1').waitFor();
    await page.getByRole('button', { name: 'Keep' }).click();
    await page
      .getByRole('switch', { name: 'Hidden variables in the place of entanglement' })
      .click();
    await page.getByRole('img', { name: /^S is 1\.9/ }).waitFor(PATIENCE);
    await page.getByRole('button', { name: 'Keep' }).click();
    await page.getByRole('region', { name: 'Table of experiments' }).waitFor();
    expect(page.url()).toMatch(/#\/lab\?hidden=true$/);
    await hasNoBarriers('lab');
    await fitsPhone(page);
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Numbers (CSV)' }).click();
    expect((await saved).suggestedFilename()).toBe('experiments.csv');
    await page.goto(`${page.url().replace(/#.*/, '')}#/lab?protocol=bb84&eve=intercept-resend`);
    await page.getByText('No key', { exact: true }).first().waitFor(PATIENCE);
    await page.getByText('--eve intercept-resend --seed 1').waitFor();
    await page.getByRole('link', { name: 'Network', exact: true }).click();
  });

  it('reads in the record what happened, and proves it', async () => {
    await page.getByRole('link', { name: 'Record' }).click();
    await page.getByText('Signed by the log').waitFor(PATIENCE);
    await page.getByText('Witnessed by: a, b').waitFor(PATIENCE);
    await page.getByLabel('Kind').selectOption('link-status');
    await page
      .getByRole('button', { name: /Link status\s*RED/ })
      .first()
      .click(PATIENCE);
    await page.getByText(/^Your browser proved all \d+ entries shown/).waitFor(PATIENCE);
    await page.getByText('It is in the record', { exact: true }).waitFor(PATIENCE);
    await hasNoBarriers('record');
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save receipt' }).click();
    await (await saved).saveAs(receipt);
  });

  it('sees a tampered entry refused', async () => {
    await page.getByRole('switch', { name: 'Change one bit of the entry' }).click();
    await page.getByText('Refused', { exact: true }).waitFor(PATIENCE);
    await page.getByText('the way leads to another root').waitFor();
    expect(await page.getByText('It is in the record', { exact: true }).count()).toBe(0);
    expect(await page.getByRole('button', { name: 'Save receipt' }).isDisabled()).toBe(true);
    await hasNoBarriers('record with a tampered entry');
    await fitsPhone(page);
    await page.getByRole('link', { name: 'Network' }).click();
    await page.getByRole('heading', { name: 'What was measured' }).waitFor();
  });

  it('lets a newcomer in by what was seen of it', async () => {
    await device(['register', 'roof-sensor']);
    await page.getByRole('link', { name: 'Devices', exact: true }).click();
    await page.getByText('No device has enrolled yet.').waitFor(PATIENCE);
    await page.getByRole('heading', { name: 'roof-sensor' }).waitFor(PATIENCE);
    await page.getByRole('img', { name: /^Circuit of four wires. Wire 0, ping: RY by/ }).waitFor();
    await page.getByRole('img', { name: /^Probabilities of the sixteen/ }).waitFor();
    await hasNoBarriers('devices with a newcomer');
    await page.getByRole('button', { name: 'Approve' }).click();
    await page.getByText('roof-sensor is admitted.').waitFor(PATIENCE);
    await page.getByText('Nobody waits.').waitFor(PATIENCE);
  });

  it('registers a name with keys made in the page, waits, and is let in', async () => {
    const file = join(registered, 'attic-reader.tar');
    await registerName(page, savesOf(page), 'Attic-Reader', file);
  });

  it('invites a device by a code, and reads what it says', async () => {
    await page.getByRole('button', { name: 'Invite a device' }).click();
    await page.getByLabel('What to call it').fill('garden-gate');
    await page.getByRole('button', { name: 'Make a code' }).click();
    await page.getByRole('img', { name: 'The code, to be scanned' }).waitFor(PATIENCE);
    const code = await page.getByRole('status', { name: 'Code', exact: true }).innerText();
    const command = await page.getByText(/^bellwire device enroll --code - --to/).innerText();
    await hasNoBarriers('an invitation');
    await page.keyboard.press('Escape');
    await device(['enroll', command.split(' ').at(-1) ?? ''], code);
    await page.getByRole('button', { name: /^garden-gate/ }).click(PATIENCE);
    await page.getByRole('img', { name: /^celsius: from 20 to 23/ }).waitFor(PATIENCE);
    await page.getByText('X25519 and ML-KEM-768 together').waitFor();
    await hasNoBarriers('devices');
    await page.setViewportSize({ width: 390, height: 844 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide).toBeLessThanOrEqual(390);
    await page.setViewportSize({ width: 1366, height: 860 });
  });

  it('removes it again, by typing its name', async () => {
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByLabel('Type garden-gate to remove it').fill('garden-gate');
    await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByText('garden-gate may not come any more.').waitFor(PATIENCE);
    await page.getByText('It is not on the cloud’s list').waitFor(PATIENCE);
  });

  it('talks with somebody who has a terminal, over the relay', async () => {
    const pen = await withTerminal(page);
    const text = 'from a page: ½';
    await findTerminal(page, pen, text);
    await hearEachOther(page, pen, text);
    await large(page, pen, savesOf(page));
    await renew(page, pen);
    await page.getByLabel('Pads come from').selectOption('pool');
    await page.getByLabel('One-time pad').selectOption('require');
    await page.getByLabel('Message to Pen').fill('under pad alone');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    expect(await pen.ask({ do: 'hears', text: 'under pad alone' })).toEqual({ pads: 'pad' });
    await page.getByRole('button', { name: /^Safety number/ }).click();
    const { number = '' } = await pen.ask({ do: 'safety' });
    await page.getByText(number.split(' ')[0] ?? '', { exact: true }).waitFor();
    const shown = await page.getByRole('dialog', { name: 'Safety number' }).innerText();
    expect(shown.replaceAll(/\s/g, '')).toContain(number.replaceAll(' ', ''));
    await page.getByRole('switch', { name: /^We have compared them/ }).click();
    await page.keyboard.press('Escape');
    await hasNoBarriers('chat');
    await fitsPhone(page);
    await reopen(page);
    await page.getByRole('button', { name: 'My contact link' }).click();
    const mine = await page.getByRole('textbox', { name: 'My contact link' }).inputValue();
    await fitsPhone(page, page.getByRole('dialog', { name: 'My contact link' }));
    await page.keyboard.press('Escape');
    await pen.ask({ do: 'add', link: mine });
    await pen.ask({ do: 'say', text: 'by your link' });
    const log = page.getByRole('log', { name: 'Messages with Pen' });
    await log.getByText('by your link').waitFor(PATIENCE);
    await talkInGroup(page, pen, savesOf(page));
    await carryHistory(page, pen, 'operator', text, savesOf(page), async () =>
      openPage(await browser.newContext(QUIET), complaints),
    );
    expect(await pen.end()).toBe(0);
    await page.getByRole('link', { name: 'Network', exact: true }).click();
  });

  it('keeps notes to self in the browser', async () => {
    await page.getByRole('link', { name: 'Chat', exact: true }).click();
    await keepNotes(page, savesOf(page));
    await page.getByRole('link', { name: 'Network', exact: true }).click();
  });

  it('has a handle by which somebody with a terminal finds it, and is asked first', async () => {
    const pen = await withTerminal(page);
    await beFound(page, pen, 'page-keeper', savesOf(page));
    expect(await pen.end()).toBe(0);
    await page.getByRole('link', { name: 'Network', exact: true }).click();
  }, 600_000);

  it('talks with somebody at the other site, whatever Eve and the relay do', async () => {
    await page.getByRole('link', { name: 'Chat', exact: true }).click();
    await two(page, await openPage(await browser.newContext(QUIET), complaints), other, said);
    await page.getByRole('link', { name: 'Network', exact: true }).click();
  }, 600_000);

  it('finds everything by keys, from the palette', async () => {
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search and act' }).fill('theme');
    await page.keyboard.press('Enter');
    await page.getByRole('combobox', { name: 'Search and act' }).waitFor({ state: 'hidden' });
    expect(await page.locator('html').getAttribute('data-mantine-color-scheme')).toBe('dark');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search and act' }).fill('no such thing');
    await page.getByText('Nothing of that name').waitFor();
    await page.keyboard.press('Escape');
  });

  it('has no page that is wider than a phone', async () => {
    await fitsPhone(page);
  });

  it('signs out, and in again with the password', async () => {
    await page.keyboard.press('Control+k');
    await page.keyboard.type('sign out');
    await page.keyboard.press('Enter');
    await page.getByLabel('Name').fill('operator');
    await page.locator('input[name=password]').fill('not this password at all');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByText('Name or password is not right.').waitFor(PATIENCE);
    await page.locator('input[name=password]').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByText('Keys flow.').waitFor(PATIENCE);
  });

  it('opens without the site, is told so, and sees it heal by itself', async () => {
    const before = complaints.length;
    await openWithoutSite(page, (isAway) => context.setOffline(isAway));
    complaints.splice(before); // of a site that was away
  });

  it('has an app to install, and a new build is there at once', async () => {
    const cdp = await context.newCDPSession(page);
    const { installabilityErrors } = await cdp.send('Page.getInstallabilityErrors');
    const reasons = installabilityErrors.map(({ errorId }) => errorId);
    expect(reasons).toEqual(['in-incognito']); // as every context of a test is
    await page.evaluate(async () => {
      const [name = ''] = await caches.keys();
      await (await caches.open(name)).put('/', new Response('an older build'));
    });
    await page.reload();
    await page.getByText('Keys flow.').waitFor(PATIENCE);
  });

  it('never made the browser complain, but of what was refused', () => {
    expect(complaints.filter((each) => !/status of (401|403|404|429|503)/.test(each))).toEqual([]);
  });
});
