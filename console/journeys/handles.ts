/** People who find each other by handles at the relay, at a page and with a terminal. */

import { readFileSync } from 'node:fs';
import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import { fitsPhone, hasNoBarriers, PATIENCE, write } from './browser';
import type { Save } from './saves';
import type { Talker } from './talker';
import { say } from './two';

/** Whoever is at the page finds the terminal's, and writes first; the terminal's accepts. */
export async function findTerminal(page: Page, pen: Talker, text: string): Promise<void> {
  await pen.ask({ do: 'sign up', handle: 'pen-holder' });
  await page.getByRole('button', { name: 'Find people', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Find people' });
  const typed = dialog.getByLabel('Handle, or how it begins');
  await write(typed, '@Pen-holders');
  await dialog.getByRole('button', { name: 'Add @pen-holders' }).click();
  await dialog.getByText('Nobody of that handle can be found.').waitFor(PATIENCE);
  await write(typed, 'zz');
  await dialog.getByRole('button', { name: 'Search', exact: true }).click();
  await dialog.getByText(/^Nobody who is listed begins so/).waitFor(PATIENCE);
  await write(typed, '@PE');
  await dialog.getByRole('button', { name: 'Search', exact: true }).click();
  const add = dialog.getByRole('button', { name: 'Add @pen-holder', exact: true });
  await add.waitFor(PATIENCE);
  await hasNoBarriers(page, 'finding people');
  await add.click();
  await page.getByRole('heading', { name: 'Pen', exact: true }).waitFor(PATIENCE);
  await say(page, 'Pen', text);
  await pen.ask({ do: 'accept', text });
}

const WORDS = 'found by your handle';

async function signUp(dialog: Locator, handle: string): Promise<void> {
  const fill = (label: string, value: string) =>
    dialog.getByLabel(label, { exact: true }).fill(value);
  await fill('Handle *', `@${handle}`);
  await fill('Password *', 'too short');
  await fill('Password again *', 'and another');
  const submit = dialog.getByRole('button', { name: 'Sign up' });
  await submit.click();
  await dialog.getByRole('alert').getByText('The two passwords differ.').waitFor(PATIENCE);
  await fill('Password again *', 'too short');
  await submit.click();
  await dialog.getByText(/^A password has at least 12 characters/).waitFor(PATIENCE);
  await hasNoBarriers(dialog.page(), 'a new handle');
  for (const label of ['Password *', 'Password again *'])
    await fill(label, 'words that only a page would draw');
  await submit.click();
  await dialog.getByText(`Who looks for @${handle} finds this browser.`).waitFor(PATIENCE);
  await hasNoBarriers(dialog.page(), 'a handle');
}

/** The relay tells where the account is logged in, and all that it keeps. */
async function lookAfter(dialog: Locator, handle: string, save: Save): Promise<void> {
  await dialog.getByText('Devices', { exact: true }).click();
  const devices = dialog.getByRole('list', { name: 'Devices' });
  await devices.getByText('this browser · found by the handle').waitFor(PATIENCE);
  await devices.getByText(/^since .* · last used about .* · ends /).waitFor();
  await devices.getByRole('button', { name: 'Rename a browser' }).click();
  await devices.getByLabel('What it is called').fill('the laboratory');
  await devices.getByRole('button', { name: 'Set name' }).click();
  await devices.getByRole('button', { name: 'Rename the laboratory' }).waitFor(PATIENCE);
  await hasNoBarriers(dialog.page(), 'devices of a handle');
  await dialog.getByText('What the relay keeps', { exact: true }).click();
  const path = await save('bellwire-account.json', () =>
    dialog.getByRole('button', { name: 'Save as a file' }).click(),
  );
  const kept = JSON.parse(readFileSync(path, 'utf8'));
  expect(kept).toMatchObject({ handle, devices: [{ name: 'the laboratory' }] });
}

/**
 * Whoever is at the page has a handle, by which somebody with a terminal finds them.
 *
 * @param pen Not the Pen whom the page knows.
 * @param handle Nobody's at the relay.
 * @param save How the browser saves.
 */
export async function beFound(page: Page, pen: Talker, handle: string, save: Save): Promise<void> {
  const find = () => pen.ask({ do: 'find', handle });
  expect(await find()).toEqual({ refused: 'nobody' });
  await page.getByRole('button', { name: 'My handle', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'My handle' });
  await signUp(dialog, handle);
  await page.keyboard.press('Escape');

  expect(await find()).toEqual({});
  await pen.ask({ do: 'say', text: WORDS });
  const requests = page.getByRole('region', { name: 'Want to write to you' });
  await requests.getByRole('button', { name: /^“Pen”.*found by your handle/s }).click(PATIENCE);
  await page.getByRole('heading', { name: '“Pen” wants to write to you' }).waitFor();
  await page.getByText(/^You have a contact of this name: this is somebody else/).waitFor();
  await hasNoBarriers(page, 'a request');
  await fitsPhone(page);
  await page.getByText('Safety number', { exact: true }).click();
  const { number = '' } = await pen.ask({ do: 'safety' });
  await page.getByText(number.split(' ')[0] ?? '', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Accept', exact: true }).click();
  await page.getByRole('heading', { name: /^Pen \([0-9a-f]{8}\)$/ }).waitFor(PATIENCE);
  await requests.waitFor({ state: 'hidden' });
  await pen.ask({ do: 'state', text: WORDS, state: 'read' });
  await write(page.getByLabel(/^Message to Pen \(/), 'heard');
  await page.keyboard.press('Enter');
  expect(await pen.ask({ do: 'hears', text: 'heard' })).toEqual({ pads: 'pad' });

  await page.getByRole('button', { name: 'My handle', exact: true }).click();
  await dialog.getByLabel('Who finds you').selectOption('0');
  await dialog.locator('select:enabled').waitFor(PATIENCE);
  expect(await find()).toEqual({ refused: 'nobody' });
  await lookAfter(dialog, handle, save);
  await dialog.getByText('Log out', { exact: true }).first().click();
  await dialog.getByRole('button', { name: 'Log out', exact: true }).click();
  await dialog.getByText(`You are logged out of @${handle}`).waitFor(PATIENCE);
  await dialog.getByLabel('Password *', { exact: true }).fill('not the password of it');
  await dialog.getByRole('button', { name: 'Log in', exact: true }).click();
  await dialog.getByText('The handle or the password is wrong.').waitFor(PATIENCE);
  await page.keyboard.press('Escape');
}
