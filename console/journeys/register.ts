/** A name is registered with keys that are made in a page, waits, and is let in by an operator. */

import { copyFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { fitsPhone, hasNoBarriers, PATIENCE } from './browser';
import type { Save } from './saves';

/**
 * @param page Of an operator, who decides about it as well.
 * @param save How the browser saves.
 * @param typed The name, with capitals.
 * @param file Where its keys and certificate are to be.
 */
export async function registerName(
  page: Page,
  save: Save,
  typed: string,
  file: string,
): Promise<void> {
  const name = typed.toLowerCase();
  const devices = page.getByRole('link', { name: 'Devices', exact: true });
  await devices.click();
  await page.getByRole('link', { name: 'Register a name' }).click();
  await page.getByLabel('Name').pressSequentially(typed);
  const keys = await save(`${name}-keys.tar`, () =>
    page.getByRole('button', { name: 'Make keys and register' }).click(),
  );
  const waits = page.getByText(`${name} waits`, { exact: true });
  const no = page.getByText('The server says no', { exact: true });
  await waits.or(no).waitFor(PATIENCE);
  // On a machine that is busy by fits a claim may be far from what the server timed.
  for (let tries = 0; tries < 9 && (await no.count()) > 0; tries += 1) {
    await page.getByRole('button', { name: 'Register with these keys' }).click();
    await waits.or(no).waitFor(PATIENCE);
  }
  await waits.waitFor(PATIENCE);
  await page.getByText(`The keys are in ${name}-keys.tar`).waitFor();
  await devices.click();
  await page.getByRole('heading', { name }).waitFor(PATIENCE);
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.getByText(`${name} is admitted.`).waitFor(PATIENCE);
  // Nothing of it was kept but the file.
  await page.getByRole('link', { name: 'Register a name' }).click();
  await page.getByLabel('Keys that I have saved').waitFor();
  await page.locator('input[type=file]').setInputFiles(keys);
  await page.getByText(`The keys of ${name}.`).waitFor();
  await page.getByRole('button', { name: 'Register with these keys' }).click();
  await page.getByText(`${name} is admitted`, { exact: true }).waitFor(PATIENCE);
  await page.getByText(`for registered:${name}, until`).waitFor();
  await hasNoBarriers(page, 'register');
  await fitsPhone(page);
  const certified = await save(`${name}-keys.tar`, () =>
    page.getByRole('button', { name: 'Save keys and certificate' }).click(),
  );
  await copyFile(certified, file);
  await devices.click();
}
