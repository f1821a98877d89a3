/** A session is begun anew, at the wish of a page and of somebody who has a terminal. */

import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { hasNoBarriers, PATIENCE } from './browser';
import type { Talker } from './talker';

/**
 * @param page With the conversation open.
 * @param pen The other side.
 */
export async function renew(page: Page, pen: Talker): Promise<void> {
  const hears = async (text: string) => {
    await page.getByLabel('Message to Pen').fill(text);
    await page.keyboard.press('Enter');
    return pen.ask({ do: 'hears', text });
  };
  await pen.ask({ do: 'renew' });
  await page.getByText('A new session with Pen has begun, at their wish').waitFor(PATIENCE);
  expect(await hears('in their new session')).toEqual({ pads: 'pad' });

  await page.getByRole('button', { name: 'New session …' }).click();
  await page.getByRole('dialog', { name: 'A new session' }).waitFor();
  await hasNoBarriers(page, 'a new session');
  await page.getByRole('button', { name: 'Ask Pen for it' }).click();
  await page.getByText('A new session with Pen has begun, as you asked').waitFor(PATIENCE);
  expect(await hears('in ours')).toEqual({ pads: 'pad' });

  await page.getByLabel('One-time pad').selectOption('off');
  expect(await hears('under no pad')).toEqual({ pads: 'no pad' });
  await page.getByLabel('One-time pad').selectOption('prefer');
}
