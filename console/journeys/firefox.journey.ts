/**
 * The console in Firefox ESR, which has no ML-KEM and no ML-DSA of its own: ACCOUNT is the command
 * that makes an account of an operator and prints its one-time link, CORRESPONDENT that of somebody
 * to talk to, and REGISTERED the folder for the keys of a registration.
 */

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWithoutSite, Wire } from './away';
import { enter, fitsPhone, hasNoBarriers, launchFirefox, openPage, PATIENCE } from './browser';
import { letEveIn, seesGreen, seesRed, sendEveAway } from './eve';
import { talkInGroup } from './group';
import { beFound } from './handles';
import { carryHistory } from './history';
import { large } from './large';
import { keepNotes } from './notes';
import { registerName } from './register';
import { savesIn } from './saves';
import type { Talker } from './talker';
import { hearEachOther, reopen, withTerminal } from './terminal';
import { connected, say } from './two';

const { ACCOUNT: account = '', REGISTERED: registered = '' } = process.env;

/** The account that ACCOUNT makes. */
const NAME = 'fern';
const WINDOW = { viewport: { width: 1366, height: 860 } } as const;

/** The one-time link of a new account. */
async function invited(): Promise<string> {
  const [program = '', ...parameters] = account.split('\n');
  const cwd = join(import.meta.dirname, '../..');
  const { stdout } = await promisify(execFile)(program, parameters, { cwd });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '').link;
}

describe.runIf(account)('in Firefox', () => {
  let home: string;
  let downloads: string;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let pen: Talker;
  const complaints: string[] = [];

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'bellwire-firefox-'));
    downloads = join(home, 'downloads');
    browser = await launchFirefox(home, downloads);
    context = await browser.newContext(WINDOW);
    page = await openPage(context, complaints);
  });

  afterAll(async () => {
    await browser?.close();
    await rm(home, { recursive: true, force: true });
  });

  it('somebody signs in by a one-time link', async () => {
    await enter(page, await invited());
    await seesGreen(page);
    await hasNoBarriers(page, 'network');
  });

  it('makes keys, and talks with somebody who has a terminal', async () => {
    pen = await withTerminal(page);
    const has = await page.evaluate(() => 'encapsulateBits' in SubtleCrypto.prototype);
    const loaded = await page.evaluate(() =>
      performance.getEntriesByType('resource').some(({ name }) => /\/fallback-/.test(name)),
    );
    expect(loaded).toBe(!has);
    const { link: theirs = '' } = await pen.ask({ do: 'invite' });
    await page.getByRole('button', { name: 'Add by link' }).click();
    await page.getByLabel('Their contact link').fill(theirs);
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('heading', { name: 'Pen', exact: true }).waitFor(PATIENCE);
    await say(page, 'Pen', 'from Firefox');
    await hearEachOther(page, pen, 'from Firefox');
    await hasNoBarriers(page, 'chat');
    await reopen(page);
    await say(page, 'Pen', 'after a reload');
    expect(await pen.ask({ do: 'hears', text: 'after a reload' })).toEqual({ pads: 'pad' });
  }, 600_000);

  it('sends and takes files, to one and in a group', async () => {
    await large(page, pen, savesIn(downloads));
    await talkInGroup(page, pen, savesIn(downloads));
    await page.getByRole('button', { name: /^Pen/ }).click();
  }, 600_000);

  it('gives what was said to a terminal, and takes it from there in another browser', async () => {
    await carryHistory(page, pen, NAME, 'from Firefox', savesIn(downloads), async () =>
      openPage(await browser.newContext(WINDOW), complaints),
    );
  }, 600_000);

  it('keeps notes to self', async () => {
    await keepNotes(page, savesIn(downloads));
  }, 600_000);

  it('lets Eve in: what is said is kept, with what was measured, and goes when she has', async () => {
    const text = 'kept while Eve listens';
    const open = async () => {
      await connected(page);
      await page.getByRole('button', { name: /^Pen/ }).click();
    };
    await letEveIn(page);
    await seesRed(page);
    await hasNoBarriers(page, 'network under attack');
    await open();
    await say(page, 'Pen', text);
    const alert = page.getByRole('alert');
    const halted = alert.getByText('Not sent: somebody may be listening.');
    await halted.waitFor(PATIENCE);
    await alert.getByText(/disturbed \(S \d\.\d+, QBER \d/).waitFor(PATIENCE);
    const log = page.getByRole('log', { name: 'Messages with Pen' });
    await log.getByText(/^not sent/).waitFor(PATIENCE);
    await hasNoBarriers(page, 'chat while Eve listens');
    await sendEveAway(page);
    await open();
    expect(await pen.ask({ do: 'hears', text })).toEqual({ pads: 'pad' });
    await halted.waitFor({ state: 'hidden' });
    expect(await pen.end()).toBe(0);
  }, 600_000);

  it('has a handle by which somebody with a terminal finds it, and is asked first', async () => {
    const other = await withTerminal(page);
    await beFound(page, other, 'fox-keeper', savesIn(downloads));
    expect(await other.end()).toBe(0);
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
    await hasNoBarriers(page, 'record');
    await page.getByRole('switch', { name: 'Change one bit of the entry' }).click();
    await page.getByText('Refused', { exact: true }).waitFor(PATIENCE);
  });

  it('runs an experiment in the lab', async () => {
    await page.getByRole('link', { name: 'Lab', exact: true }).click();
    await page.getByText(/^A key of \d/).waitFor(PATIENCE);
    await page.getByRole('img', { name: /^S is 2\.[67]/ }).waitFor();
    await hasNoBarriers(page, 'lab');
    await fitsPhone(page);
  });

  it('registers a name with keys made in the page, waits, and is let in', async () => {
    const file = join(registered, 'cellar-reader.tar');
    await registerName(page, savesIn(downloads), 'Cellar-Reader', file);
  });

  it('opens without the site, is told so, and sees it heal by itself', async () => {
    const wire = new Wire(new URL(page.url()));
    // Cookies know no port, so it is signed in; and it may complain of a site that is away.
    const other = await openPage(context, []);
    try {
      await other.goto(await wire.start());
      await openWithoutSite(other, (isAway) => wire.setAway(isAway));
      await other.close();
    } finally {
      wire.stop();
    }
  });

  it('never made it complain', () => {
    expect(complaints).toEqual([]);
  });
});
