/** A group of somebody at a page and somebody with a terminal, both ways, with the real services. */

import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { hasNoBarriers, PATIENCE } from './browser';
import { give, keep, take } from './large';
import type { Save } from './saves';
import type { Talker } from './talker';
import { say } from './two';

const NAME = 'Night shift';

/**
 * @param pen Of a terminal, and a contact of who is at the page.
 * @param save How the browser saves.
 */
export async function talkInGroup(page: Page, pen: Talker, save: Save): Promise<void> {
  await page.getByRole('button', { name: 'New group', exact: true }).click();
  await page.getByLabel('What it is called').fill(NAME);
  await page.getByRole('checkbox', { name: 'Pen', exact: true }).check();
  await hasNoBarriers(page, 'a new group');
  await page.getByRole('button', { name: 'Make the group' }).click();
  await page.getByRole('heading', { name: NAME, exact: true }).waitFor(PATIENCE);
  const log = page.getByRole('log', { name: `Messages in ${NAME}` });
  await say(page, NAME, 'to all from a page');
  const heard = { do: 'hears', group: NAME, text: 'to all from a page' };
  expect(await pen.ask(heard)).toEqual({ pads: 'pad' });
  await log.getByText('1 of 1 have it').waitFor(PATIENCE);
  await pen.ask({ do: 'say', group: NAME, text: 'to all from a terminal' });
  await log.getByText('to all from a terminal').waitFor(PATIENCE);
  await pen.ask({ do: 'state', group: NAME, text: 'to all from a terminal', state: 'read' });

  await give(page, pen, 'for-all.bin', { group: NAME });
  await log.getByText('nobody waits for any of it').waitFor(PATIENCE);
  await keep(await take(log, pen, { group: NAME }), save);
  await hasNoBarriers(page, 'a group');

  await page.getByRole('button', { name: 'Members: 2 people' }).click();
  await hasNoBarriers(page, 'the members of a group');
  await page.getByLabel('What it is called').fill('Day shift');
  await page.getByRole('button', { name: 'Rename', exact: true }).click();
  await page.getByRole('button', { name: 'Remove Pen' }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Members: you alone' }).waitFor(PATIENCE);
  await pen.ask({ do: 'out', group: 'Day shift' });
}
