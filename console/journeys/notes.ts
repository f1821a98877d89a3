/** Notes to self: written, answered, changed, found, with a file, and there after a reload. */

import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { fitsPhone, hasNoBarriers, PATIENCE, write } from './browser';
import type { Save } from './saves';

const FILE = { name: 'counts.bin', mimeType: 'application/octet-stream' };
const BYTES = Buffer.from(Uint32Array.from({ length: 2 ** 15 }, (_, at) => at * 7).buffer);

async function note(page: Page, words: string): Promise<void> {
  await write(page.getByLabel('Write a note'), words);
  await page.keyboard.press('Enter');
}

/**
 * @param page With the chat open.
 * @param save How the browser saves.
 */
export async function keepNotes(page: Page, save: Save): Promise<void> {
  const people = page.getByRole('region', { name: 'People' });
  const entry = people.getByRole('button', { name: /^Notes to self/ });
  const log = page.getByRole('log', { name: 'Notes' });
  expect(await people.getByRole('listitem').first().innerText()).toContain('Notes to self');
  await entry.click();
  await note(page, 'the key is under the mat');
  const first = log.getByRole('article').filter({ hasText: 'under the mat' });
  await first.getByRole('button', { name: 'Change' }).click();
  await note(page, 'the key is under the pot');
  const changed = log.getByRole('article').filter({ hasText: 'under the pot' });
  await changed.getByText('edited').waitFor(PATIENCE);
  await changed.getByRole('button', { name: 'Reply' }).click();
  await note(page, 'which one?');
  await log.locator('blockquote').getByText('under the pot').waitFor(PATIENCE);
  await note(page, 'soon gone');
  await log
    .getByRole('article')
    .filter({ hasText: 'soon gone' })
    .getByRole('button', { name: 'Delete' })
    .click();
  await log.getByText('Deleted', { exact: true }).waitFor(PATIENCE);
  await page.getByLabel('Notes disappear').selectOption('3600');
  const input = page.getByLabel('Keep a file').and(page.locator('input'));
  await input.setInputFiles({ ...FILE, buffer: BYTES });
  const file = log.getByRole('article').filter({ hasText: FILE.name });
  await file.getByText('all of it is here').waitFor(PATIENCE);
  await file.getByText(/^disappears .* after it was written$/).waitFor();
  await hasNoBarriers(page, 'notes to self');
  await fitsPhone(page);

  await page.reload();
  await write(page.getByLabel('Search people and messages'), 'the pot');
  expect(await people.getByRole('listitem').count()).toBe(1);
  await entry.click(PATIENCE);
  await changed.and(page.locator('[data-sought]')).waitFor(PATIENCE);
  const path = await save(FILE.name, () =>
    file.getByRole('button', { name: 'Save', exact: true }).click(),
  );
  expect(readFileSync(path)).toEqual(BYTES);
  await file.getByRole('button', { name: 'Remove from this browser' }).click();
  await file.getByText('removed from this browser').waitFor(PATIENCE);
  await page.getByLabel('Notes disappear').selectOption('0');
}
