/** A history goes from a browser to a terminal, and from there to another browser of the same account. */

import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { fitsPhone, hasNoBarriers, PASSWORD, PATIENCE, write } from './browser';
import type { Save } from './saves';
import type { Talker } from './talker';

const MESSAGES = /: [\d,]+ messages and 1 person\./;

/** Export all that a page has; the file, and its code. */
async function give(page: Page, save: Save): Promise<{ file: string; code: string }> {
  await page.getByRole('button', { name: 'Export history …' }).click();
  const dialog = page.getByRole('dialog', { name: 'Export history' });
  const file = await save('bellwire.history', () =>
    dialog.getByRole('button', { name: 'Make the file' }).click(),
  );
  await dialog.getByText(MESSAGES).waitFor(PATIENCE);
  const code = await dialog.getByRole('status', { name: 'Its code' }).innerText();
  expect(code).toMatch(/^([A-Z2-7]{4}-){7}[A-Z2-7]{4}$/);
  await hasNoBarriers(page, 'a history that was exported');
  await page.keyboard.press('Escape');
  return { file, code };
}

async function take(page: Page, file: string, code: string): Promise<void> {
  const dialog = page.getByRole('dialog', { name: 'Import history' });
  if ((await dialog.count()) === 0)
    await page.getByRole('button', { name: 'Import history …' }).click();
  await dialog.locator('input[type=file]').setInputFiles(file);
  await dialog.getByLabel('Its code').fill(code);
  await dialog.getByRole('button', { name: 'Import', exact: true }).click();
}

/**
 * @param page With the chat open, where Pen is the one contact.
 * @param pen Somebody with a terminal.
 * @param account Whose page it is.
 * @param text The first that the page said.
 * @param save How the browser saves.
 * @param other Makes another browser's page.
 */
export async function carryHistory(
  page: Page,
  pen: Talker,
  account: string,
  text: string,
  save: Save,
  other: () => Promise<Page>,
): Promise<void> {
  const made = await give(page, save);
  const carried = await pen.ask({ do: 'carry', ...made });
  expect(carried.people).toBe('1');
  const texts = carried.texts?.split('\n') ?? [];
  expect(texts).toEqual(expect.arrayContaining([text, 'from a terminal']));
  expect(Number(carried.padded)).toBeGreaterThan(1);

  const second = await other();
  await second.goto(page.url().replace(/#.*/, '#/sign-in'));
  await write(second.getByLabel('Name'), account);
  await write(second.locator('input[name=password]'), PASSWORD);
  await second.getByRole('button', { name: 'Sign in', exact: true }).click();
  await second.getByRole('link', { name: 'Chat', exact: true }).click();
  await second
    .getByText('Nobody yet. Find people by their handles, give somebody your link, or take theirs.')
    .waitFor(PATIENCE);
  const { file = '', code = '' } = carried;
  await take(second, file, made.code);
  await second.getByText('expected the code of this file, got the code of another one').waitFor();
  await hasNoBarriers(second, 'a history whose code is another one');
  await take(second, file, code);
  await second.getByText(MESSAGES).waitFor(PATIENCE);
  await second.keyboard.press('Escape');
  await second.getByRole('button', { name: /^Pen/ }).click();
  const log = second.getByRole('log', { name: 'Messages with Pen' });
  await log.getByText(text).waitFor();
  await log
    .getByRole('button', { name: /^pad .* B S 2\.\d+ · QBER \d/ })
    .first()
    .click();
  const panel = second.getByRole('dialog', { name: 'What protected this message' });
  await panel.getByText(/^2\.\d\d ± 0\.\d\d$/).waitFor();
  await second.keyboard.press('Escape');
  await log.getByText('on another device').first().waitFor();
  await second.getByText(/^What is here was said on another device\./).waitFor();
  await hasNoBarriers(second, 'a conversation of another device');
  await fitsPhone(second);

  await second.reload();
  await second.getByRole('button', { name: /^Pen/ }).click(PATIENCE);
  await log.getByText(text).waitFor();
  await take(second, file, code);
  await second.getByText('New here: 0 messages and 0 people.').waitFor(PATIENCE);
  await second.context().close();
}
