/** Files of a million bytes go both ways between a page and somebody who has a terminal. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import { hasNoBarriers, PATIENCE } from './browser';
import type { Save } from './saves';
import type { Answer, Talker } from './talker';

const SIXTEEN = '00112233445566778899aabbccddeeff';
/** So often in a file of the other side. */
const MANY = 2 ** 16;
const THEIRS = 'from-a-terminal.bin';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/**
 * Send a file from the page, where a conversation or a group is open.
 *
 * @param place The group, for the other side.
 */
export async function give(page: Page, pen: Talker, name: string, place: Answer = {}) {
  const buffer = Buffer.from(Uint32Array.from({ length: 2 ** 18 }, (_, at) => at * 7).buffer);
  const file = { name, mimeType: 'application/octet-stream', buffer };
  await page.getByLabel('Send a file').and(page.locator('input')).setInputFiles(file);
  const found = await pen.ask({ do: 'file', name, ...place });
  expect(found).toEqual({ size: String(buffer.length), sha256: sha256(buffer) });
}

/** Have the other side send a file; its message in the page. */
export async function take(log: Locator, pen: Talker, place: Answer = {}): Promise<Locator> {
  await pen.ask({ do: 'attach', name: THEIRS, line: SIXTEEN, ...place });
  return log.getByRole('article').filter({ hasText: THEIRS });
}

/** Save a file of the other side, of which all is here. */
export async function keep(message: Locator, save: Save): Promise<void> {
  await message.getByText('all of it is here').waitFor(PATIENCE);
  const path = await save(THEIRS, () =>
    message.getByRole('button', { name: 'Save', exact: true }).click(),
  );
  const bytes = readFileSync(path);
  expect(sha256(bytes)).toBe(sha256(Buffer.from(SIXTEEN.repeat(MANY), 'hex')));
}

/**
 * @param page With the conversation open.
 * @param pen The other side.
 * @param save How the browser saves.
 */
export async function large(page: Page, pen: Talker, save: Save): Promise<void> {
  const log = page.getByRole('log', { name: 'Messages with Pen' });
  await give(page, pen, 'from-a-page.bin');
  await log.getByText('all of it is there').waitFor(PATIENCE);

  const message = await take(log, pen);
  await message.getByRole('progressbar').waitFor(PATIENCE);
  await page.reload(); // what comes goes on
  await page.getByRole('button', { name: /^Pen/ }).click(PATIENCE);
  await message.getByText('all of it is here').waitFor(PATIENCE);
  await message.getByRole('button', { name: 'AES-256-GCM, key under pad' }).click();
  const panel = page.getByRole('dialog', { name: 'What protected this message' });
  await panel.getByText(/^It is larger than one message may be/).waitFor();
  await hasNoBarriers(page, 'what protected a large file');
  await page.keyboard.press('Escape');
  await keep(message, save);
  await message.getByRole('button', { name: 'Remove from this browser' }).click();
  await message.getByText('removed from this browser').waitFor(PATIENCE);
}
