/** What is pictured of dialogs, and of the conversations that are not between two. */

import type { Page } from 'playwright-core';
import { withTerminal } from './terminal';
import { say } from './two';

/** Widths and heights of a window, by name. */
export type Windows = Readonly<Record<string, readonly [number, number]>>;
/** A picture in both themes, in each of these windows; of another page than the first where one is named. */
export type Picture = (name: string, windows?: Windows, of?: Page) => Promise<void>;

const PHONE: Windows = { phone: [390, 844] };
const DIALOG: Windows = { ...PHONE, desk: [1280, 800] };
const WORDS = 'five words that nobody drew';

/** Press a button, and look at the dialog that it opens. */
async function opens(page: Page, picture: Picture, button: string, name: string): Promise<void> {
  await page.getByRole('button', { name: button, exact: true }).click();
  await page.getByRole('dialog').waitFor();
  await picture(name, DIALOG);
}

async function close(page: Page): Promise<void> {
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
}

async function signUp(page: Page, handle: string): Promise<void> {
  const dialog = page.getByRole('dialog', { name: 'My handle' });
  await dialog.getByLabel('Handle *', { exact: true }).fill(handle);
  for (const label of ['Password *', 'Password again *'])
    await dialog.getByLabel(label, { exact: true }).fill(WORDS);
  await dialog.getByRole('button', { name: 'Sign up' }).click();
  await dialog.getByText(`Who looks for @${handle} finds this browser.`).waitFor();
}

/** Of a handle: to have one, to look after it, and to find that of another. */
async function handles(page: Page, bob: Page, picture: Picture): Promise<void> {
  await bob.getByRole('button', { name: 'My handle', exact: true }).click();
  await signUp(bob, 'bob-at-the-lamp');
  const finds = bob.getByLabel('Who finds you');
  await finds.selectOption('2');
  await bob.locator('dialog select:enabled').waitFor();
  await close(bob);

  await opens(page, picture, 'Find people', 'chat-find');
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Handle, or how it begins').fill('@bob');
  await dialog.getByRole('button', { name: 'Search', exact: true }).click();
  await dialog.getByRole('button', { name: 'Add @bob-at-the-lamp' }).waitFor();
  await picture('chat-find-found', DIALOG);
  await close(page);

  await opens(page, picture, 'My handle', 'chat-handle-new');
  await signUp(page, 'alice-counts');
  await picture('chat-handle', DIALOG);
  for (const [part, name] of [
    ['Unwanted messages', 'box'],
    ['Change the password', 'password'],
    ['Devices', 'devices'],
    ['What the relay keeps', 'export'],
    ['Log out', 'end'],
    ['Delete the account', 'delete'],
  ] as const) {
    await dialog.locator('summary').getByText(part, { exact: true }).click();
    if (name === 'devices') await dialog.getByRole('list', { name: 'Devices' }).waitFor();
    await picture(`chat-handle-${name}`, DIALOG);
  }
  await close(page);
}

/** Somebody with a terminal asks by the handle, is let in, and talks with both in a group. */
async function others(page: Page, picture: Picture): Promise<void> {
  const pen = await withTerminal(page);
  await pen.ask({ do: 'find', handle: 'alice-counts' });
  await pen.ask({ do: 'say', text: 'We met at the workshop. May I ask about your detectors?' });
  await page.getByRole('button', { name: /^“Pen”/ }).click();
  await page.getByRole('heading', { name: '“Pen” wants to write to you' }).waitFor();
  await picture('chat-request');
  await page.getByText('Safety number', { exact: true }).click();
  await picture('chat-request-number', DIALOG);
  await page.getByRole('button', { name: 'Accept', exact: true }).click();
  await page.getByRole('heading', { name: 'Pen', exact: true }).waitFor();

  await page.getByRole('button', { name: 'New group', exact: true }).click();
  await page.getByLabel('What it is called').fill('Night shift');
  for (const name of ['operator@b', 'Pen'])
    await page.getByRole('checkbox', { name, exact: true }).check();
  await picture('chat-group-new', DIALOG);
  await page.getByRole('button', { name: 'Make the group' }).click();
  await page.getByRole('heading', { name: 'Night shift', exact: true }).waitFor();
  await say(page, 'Night shift', 'Who looks at the counters at four?');
  await pen.ask({ do: 'hears', group: 'Night shift', text: 'Who looks at the counters at four?' });
  await pen.ask({ do: 'say', group: 'Night shift', text: 'I do, with coffee.' });
  const log = page.getByRole('log', { name: 'Messages in Night shift' });
  await log.getByText('I do, with coffee.').waitFor();
  await log.getByText(/^2 of 2 have it/).waitFor();
  await picture('chat-group');
  await log.getByRole('button', { name: /^pad/ }).first().click();
  await picture('chat-group-protection', DIALOG);
  await close(page);
  await opens(page, picture, 'Members: 3 people', 'chat-group-members');
  await close(page);
  await pen.end();
}

/**
 * @param page Alice's, who talks with Bob; what they said is before her.
 * @param bob At the other site.
 */
export async function picturesOfTalk(page: Page, bob: Page, picture: Picture): Promise<void> {
  for (const [button, name] of [
    ['Rename …', 'chat-rename'],
    ['Block …', 'chat-block'],
    ['New session …', 'chat-renewal'],
    ['Add by link', 'chat-add'],
    ['Export history …', 'chat-export'],
  ] as const) {
    await opens(page, picture, button, name);
    if (name !== 'chat-export') await close(page);
  }
  await page.getByRole('button', { name: 'Make the file' }).click();
  await page.getByRole('status', { name: 'Its code' }).waitFor();
  await picture('chat-export-made', DIALOG);
  await close(page);
  await opens(page, picture, 'Import history …', 'chat-import');
  await close(page);
  await page.getByRole('button', { name: 'My contact link' }).click();
  await page.getByRole('textbox', { name: 'My contact link' }).waitFor();
  await picture('chat-mine', DIALOG);
  await close(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.getByRole('button', { name: /^Pads, how long/ }).click();
  await picture('chat-settings', PHONE);
  await page.setViewportSize({ width: 1280, height: 800 });

  await handles(page, bob, picture);
  await others(page, picture);
  await page.getByRole('button', { name: /^Notes to self/ }).click();
  for (const words of ['The key of the cabinet is with the porter.', 'Order two attenuators.']) {
    await page.getByLabel('Write a note').fill(words);
    await page.keyboard.press('Enter');
    await page.getByRole('log').getByText(words).waitFor();
  }
  await picture('chat-notes');
  await page.getByRole('button', { name: /^operator@b/ }).click();
  await page.getByRole('button', { name: 'Block …' }).click();
  await page.getByRole('button', { name: 'Block operator@b' }).click();
  await page.getByText('You have blocked operator@b').waitFor();
  await picture('chat-blocked');
}

/** A key that two members come to, shown to one of them. */
export async function picturesOfSession(page: Page, picture: Picture): Promise<void> {
  await page.getByLabel('With whom').fill('operator@b');
  await opens(page, picture, 'Make a session', 'network-session');
  await close(page);
  await page.locator('main summary').first().click();
  await picture('network-measured', DIALOG);
  await page.keyboard.press('Escape');
}

/** What lies over every page: the palette, and the menu of the account. */
export async function picturesOfShell(page: Page, picture: Picture): Promise<void> {
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: 'Search and act' }).waitFor();
  await picture('palette', DIALOG);
  await close(page);
  await page.locator('summary[aria-label^="operator,"]').click();
  await picture('account', DIALOG);
  await page.keyboard.press('Escape');
}

/** Removing a device, which asks for its name. */
export async function picturesOfRemoval(page: Page, picture: Picture): Promise<void> {
  await opens(page, picture, 'Remove', 'devices-remove');
  await close(page);
}
