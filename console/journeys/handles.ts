/** People who find each other by handles at the relay, at a page and with a terminal. */

import type { Page } from 'playwright-core';
import { hasNoBarriers, PATIENCE } from './browser';
import type { Talker } from './talker';

/** Whoever is at the page finds the terminal's, and writes first; the terminal's accepts. */
export async function findTerminal(page: Page, pen: Talker, text: string): Promise<void> {
  await pen.ask({ do: 'sign up', handle: 'pen-holder' });
  await page.getByRole('button', { name: 'Find people', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Find people' });
  const typed = dialog.getByLabel('Handle, or how it begins');
  await typed.fill('@Pen-holders');
  await dialog.getByRole('button', { name: 'Add @pen-holders' }).click();
  await dialog.getByText('Nobody of that handle can be found.').waitFor(PATIENCE);
  await typed.fill('zz');
  await dialog.getByRole('button', { name: 'Search', exact: true }).click();
  await dialog.getByText(/^Nobody who is listed begins so/).waitFor(PATIENCE);
  await typed.fill('@PE');
  await dialog.getByRole('button', { name: 'Search', exact: true }).click();
  const add = dialog.getByRole('button', { name: 'Add @pen-holder', exact: true });
  await add.waitFor(PATIENCE);
  await hasNoBarriers(page, 'finding people');
  await add.click();
  await page.getByRole('heading', { name: 'Pen', exact: true }).waitFor(PATIENCE);
  await page.getByLabel('Message to Pen').fill(text);
  await page.keyboard.press('Enter');
  await pen.ask({ do: 'accept', text });
}
