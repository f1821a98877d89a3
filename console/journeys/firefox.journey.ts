/**
 * The console in Firefox ESR, which has no ML-KEM and no ML-DSA of its own: ACCOUNT is the command
 * that makes an account and prints its one-time link, CORRESPONDENT that of somebody to talk to.
 */

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enter, fitsPhone, hasNoBarriersNow, launchFirefox, openPage, PATIENCE } from './browser';
import { Talker } from './talker';

const { ACCOUNT: account = '', CORRESPONDENT: correspondent = '' } = process.env;

/** The one-time link of a new account. */
async function invited(): Promise<string> {
  const [program = '', ...parameters] = account.split('\n');
  const cwd = join(import.meta.dirname, '../..');
  const { stdout } = await promisify(execFile)(program, parameters, { cwd });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '').link;
}

describe.runIf(account)('in Firefox', () => {
  let home: string;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'bellwire-firefox-'));
    browser = await launchFirefox(home);
    const context = await browser.newContext({ viewport: { width: 1366, height: 860 } });
    page = await openPage(context, complaints);
  });

  afterAll(async () => {
    await browser?.close();
    await rm(home, { recursive: true, force: true });
  });

  /** Key by key, as React hears nothing of what the driver inserts; so only what keyboards have. */
  async function say(text: string): Promise<void> {
    await page.getByLabel('Message to Pen').pressSequentially(text);
    await page.keyboard.press('Enter');
  }

  it('somebody signs in by a one-time link', async () => {
    await enter(page, await invited());
    await page.getByText('Keys flow. No sign of anybody listening.').waitFor(PATIENCE);
    await page.getByRole('img', { name: /^Error rate \(QBER\): latest \d/ }).waitFor(PATIENCE);
    await hasNoBarriersNow(page, 'network');
  });

  it('makes keys, and talks with somebody who has a terminal', async () => {
    const pen = new Talker(correspondent);
    await page.getByRole('link', { name: 'Chat', exact: true }).click();
    await page.getByText('Connected', { exact: true }).waitFor(PATIENCE);
    const has = await page.evaluate(() => 'encapsulateBits' in SubtleCrypto.prototype);
    const loaded = await page.evaluate(() =>
      performance.getEntriesByType('resource').some(({ name }) => /\/fallback-/.test(name)),
    );
    expect(loaded).toBe(!has);
    const relay = await page.evaluate(
      async () => (await (await fetch('/api/chat')).json()).relays[0],
    );
    await pen.ask({ relay });
    const { link: theirs = '' } = await pen.ask({ do: 'invite' });
    await page.getByRole('button', { name: 'Add by link' }).click();
    await page.getByLabel('Their contact link').fill(theirs);
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('heading', { name: 'Pen', exact: true }).waitFor(PATIENCE);
    const text = 'from Firefox';
    await say(text);
    expect(await pen.ask({ do: 'hears', text })).toEqual({ pads: 'pad' });
    const log = page.getByRole('log', { name: 'Messages with Pen' });
    await log.getByText('delivered').waitFor(PATIENCE);
    await pen.ask({ do: 'say', text: 'from a terminal' });
    await log.getByText('from a terminal').waitFor(PATIENCE);
    const chips = log.getByRole('button', { name: /^pad .* B S 2\.\d+ · QBER \d/ });
    await chips.nth(1).waitFor(PATIENCE);
    await pen.ask({ do: 'state', text: 'from a terminal', state: 'read' });
    await hasNoBarriersNow(page, 'chat');
    await page.reload();
    await page.getByText('Connected', { exact: true }).waitFor(PATIENCE);
    await page.getByRole('button', { name: /^Pen/ }).click();
    await log.getByText('from a terminal').waitFor();
    await say('after a reload');
    expect(await pen.ask({ do: 'hears', text: 'after a reload' })).toEqual({ pads: 'pad' });
    expect(await pen.end()).toBe(0);
  }, 600_000);

  it('has the record proved, and its signatures checked', async () => {
    await page.getByRole('link', { name: 'Record' }).click();
    await page.getByText('Your browser checked the signature of the checkpoint.').waitFor(PATIENCE);
    await page.getByText('They saw the same history as you, and signed it').waitFor();
    await page
      .getByRole('button', { name: /^\d+\s*Link status/ })
      .first()
      .click();
    await page.getByText(/^Your browser proved all \d+ entries shown/).waitFor(PATIENCE);
    await page.getByText('It is in the record', { exact: true }).waitFor(PATIENCE);
    await hasNoBarriersNow(page, 'record');
    await page.getByRole('switch', { name: 'Change one bit of the entry' }).click();
    await page.getByText('Refused', { exact: true }).waitFor(PATIENCE);
  });

  it('runs an experiment in the lab', async () => {
    await page.getByRole('link', { name: 'Lab', exact: true }).click();
    await page.getByText(/^A key of \d/).waitFor(PATIENCE);
    await page.getByRole('img', { name: /^S is 2\.[67]/ }).waitFor();
    await hasNoBarriersNow(page, 'lab');
    await fitsPhone(page);
  });

  it('never made it complain', () => {
    expect(complaints).toEqual([]);
  });
});
