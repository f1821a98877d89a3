/** Files of a million bytes go both ways between a page and somebody who has a terminal. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { hasNoBarriers, PATIENCE } from './browser';
import type { Talker } from './talker';

const SIXTEEN = '00112233445566778899aabbccddeeff';
/** So often in a file of the other side. */
const MANY = 2 ** 16;

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/**
 * @param page With the conversation open.
 * @param pen The other side.
 */
export async function large(page: Page, pen: Talker): Promise<void> {
  const log = page.getByRole('log', { name: 'Messages with Pen' });
  const buffer = Buffer.from(Uint32Array.from({ length: 2 ** 18 }, (_, at) => at * 7).buffer);
  const mimeType = 'application/octet-stream';
  const file = { name: 'from-a-page.bin', mimeType, buffer };
  await page.getByLabel('Send a file').and(page.locator('input')).setInputFiles(file);
  const size = String(buffer.length);
  const found = await pen.ask({ do: 'file', name: file.name });
  expect(found).toEqual({ size, sha256: sha256(buffer) });
  await log.getByText('all of it is there').waitFor(PATIENCE);

  await pen.ask({ do: 'attach', name: 'from-a-terminal.bin', line: SIXTEEN });
  const message = log.getByRole('article').filter({ hasText: 'from-a-terminal.bin' });
  await message.getByRole('progressbar').waitFor(PATIENCE);
  await page.reload(); // what comes goes on
  await page.getByRole('button', { name: /^Pen/ }).click(PATIENCE);
  await message.getByText('all of it is here').waitFor(PATIENCE);
  await message.getByRole('button', { name: 'AES-256-GCM, key under pad' }).click();
  const panel = page.getByRole('dialog', { name: 'What protected this message' });
  await panel.getByText(/^It is larger than one message may be/).waitFor();
  await hasNoBarriers(page, 'what protected a large file');
  await page.keyboard.press('Escape');
  const saving = page.waitForEvent('download');
  await message.getByRole('button', { name: 'Save', exact: true }).click();
  const saved = await saving;
  expect(saved.suggestedFilename()).toBe('from-a-terminal.bin');
  const bytes = readFileSync(await saved.path());
  expect(sha256(bytes)).toBe(sha256(Buffer.from(SIXTEEN.repeat(MANY), 'hex')));
  await message.getByRole('button', { name: 'Remove from this browser' }).click();
  await message.getByText('removed from this browser').waitFor(PATIENCE);
}
