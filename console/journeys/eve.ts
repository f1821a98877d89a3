/** The link of the page Network while Eve comes and goes, by clicks. */

import type { Page } from 'playwright-core';
import { PATIENCE } from './browser';

/** @param page Of the network. */
export async function seesGreen(page: Page): Promise<void> {
  await page.getByText('Keys flow. No sign of anybody listening.').waitFor(PATIENCE);
  await page.getByRole('img', { name: /^Error rate \(QBER\): latest \d/ }).waitFor(PATIENCE);
}

/** Eve comes, on the page of the network, whichever is shown before. */
export async function letEveIn(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Network', exact: true }).click();
  await page.getByLabel('What she does').selectOption('intercept-resend');
  await page.getByRole('button', { name: 'Attack', exact: true }).click();
  await page.getByText('Eve is on the link: Intercept and resend, 100 %').waitFor(PATIENCE);
}

/** The page of the network says everywhere what she does to the link. */
export async function seesRed(page: Page): Promise<void> {
  await page.getByText('No key leaves this link.').waitFor(PATIENCE);
  await page.getByRole('banner').getByText('Red').waitFor();
  await page
    .getByRole('img', { name: 'Map: node A and node B, joined by one quantum link that is Red' })
    .waitFor();
}

/** She goes, on the page of the network, whichever is shown before, and keys flow again. */
export async function sendEveAway(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Network', exact: true }).click();
  await page.getByRole('button', { name: 'Reset' }).click();
  await page.getByText('Nobody is on the link.').waitFor(PATIENCE);
  await page.getByText('Keys flow. No sign of anybody listening.').waitFor(PATIENCE);
}
