/** Two people talk, each at the console of their own site, while Eve comes and the relay ends. */

import { readFileSync } from 'node:fs';
import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import { enter, fitsPhone, hasNoBarriers, PATIENCE, write } from './browser';
import { letEveIn } from './eve';

const [ALICE, BOB] = ['operator@a', 'operator@b'];
export const CHIP = /^pad \d+ B S 2\.\d+ · QBER \d/;

export const UNDER_WAY = /^pairs [\d,]+ bases sift [\d,]+ S 2\.\d+ QBER \d.* pad$/;

/**
 * The next session goes on as ever, and the page gets its pad only once it is let go: nobody who
 * watches misses a step.
 *
 * @returns What lets it go.
 */
export async function holdPad(page: Page): Promise<() => void> {
  let letGo = () => {};
  const going = new Promise<void>((done) => {
    letGo = done;
  });
  await page.route(
    '**/api/chat/pads/fresh',
    async (route) => {
      const response = await route.fetch();
      await going;
      await route.fulfill({ response });
    },
    { times: 1 },
  );
  return letGo;
}

const logOf = (page: Page, who: string) =>
  page.getByRole('log', { name: `Messages with ${who}`, exact: true });

/** The chat of a page, once its relay answers. */
export async function connected(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Chat', exact: true }).click();
  await page.getByText('Connected', { exact: true }).waitFor(PATIENCE);
}

export async function say(page: Page, to: string, text: string): Promise<void> {
  await write(page.getByLabel(`Message to ${to}`), text);
  await page.keyboard.press('Enter');
}

/** Alice gives Bob her link, and both have the conversation before them. */
export async function meet(alice: Page, bob: Page): Promise<void> {
  await connected(alice);
  await connected(bob);
  await alice.getByRole('button', { name: 'My contact link' }).click();
  const link = await alice.getByRole('textbox', { name: 'My contact link' }).inputValue();
  await alice.keyboard.press('Escape');
  await bob.getByRole('button', { name: 'Add by link' }).click();
  await bob.getByLabel('Their contact link').fill(link);
  await bob.getByRole('button', { name: 'Add', exact: true }).click();
  await bob.getByRole('heading', { name: ALICE, exact: true }).waitFor(PATIENCE);
  await alice.getByRole('button', { name: new RegExp(`^${BOB}`) }).click(PATIENCE);
}

/** What is said with them stands under the new name, and then under the one before. */
async function rename(page: Page, before: string, after: string): Promise<void> {
  for (const [from, to] of [
    [before, after],
    [after, before],
  ] as const) {
    await page.getByRole('button', { name: 'Rename …' }).click();
    const dialog = page.getByRole('dialog', { name: `Rename ${from}` });
    await dialog.getByLabel('What you call them').fill(to);
    if (to === after) {
      await hasNoBarriers(page, 'another name');
      await fitsPhone(page, dialog);
    }
    await dialog.getByRole('button', { name: 'Rename', exact: true }).click();
    await page.getByRole('heading', { name: to, exact: true }).waitFor(PATIENCE);
    await logOf(page, to).waitFor();
  }
}

/** Whom Bob has blocked is not heard; once they exchange links, what waited comes, and they talk. */
async function block(alice: Page, bob: Page): Promise<void> {
  await bob.getByRole('button', { name: 'Block …' }).click();
  const dialog = bob.getByRole('dialog', { name: `Block ${ALICE}` });
  await dialog.getByText(/^What was said stays here to be read/).waitFor();
  await hasNoBarriers(bob, 'blocking somebody');
  await dialog.getByRole('button', { name: `Block ${ALICE}` }).click();
  await bob.getByText(`You have blocked ${ALICE}`).waitFor(PATIENCE);
  await hasNoBarriers(bob, 'somebody who is blocked');
  await fitsPhone(bob);
  await logOf(bob, ALICE).getByText('from site a').waitFor();
  expect(await bob.getByLabel(`Message to ${ALICE}`).count()).toBe(0);
  await say(alice, BOB, 'to a closed mailbox');
  await logOf(alice, BOB)
    .getByText('waits: their mailbox is gone; ask them for another link')
    .waitFor(PATIENCE);
  await bob.getByRole('button', { name: `Hear ${ALICE} again` }).click();
  await bob.getByText(/^There is no session with/).waitFor(PATIENCE);
  await meet(alice, bob);
  await say(bob, ALICE, 'heard again');
  await logOf(bob, ALICE).getByText('to a closed mailbox').waitFor(PATIENCE);
  await logOf(alice, BOB).getByText('heard again').waitFor(PATIENCE);
}

async function compare(page: Page): Promise<string> {
  await page.getByRole('button', { name: /^Safety number/ }).click();
  const dialog = page.getByRole('dialog', { name: 'Safety number' });
  await dialog.getByRole('img', { name: /^Code for/ }).waitFor();
  const digits = (await dialog.innerText()).match(/\b\d{5}\b/g) ?? [];
  await dialog.getByRole('switch', { name: /^We have compared them/ }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Safety number: compared', exact: true }).waitFor();
  return digits.join(' ');
}

/** What crossed the public channel is there, at either site, marked as of the lab. */
async function eavesdrop(panel: Locator): Promise<void> {
  const part = panel.locator('section').filter({ hasText: 'Eve listens, in the lab' });
  await part.getByText('simulated', { exact: true }).waitFor();
  await part.getByText(/^[\d,]+ messages, [\d,]+ bytes$/).waitFor(PATIENCE);
  const heard = part.getByRole('list', { name: 'What Eve hears' });
  await heard.getByText('Bases', { exact: true }).first().waitFor(PATIENCE);
}

function relayPid(said: string): number {
  const [, pid] = readFileSync(said, 'utf8').match(/^relay\s+process (\d+)/m) ?? [];
  return Number(pid);
}

/**
 * @param alice Of site a, signed in there.
 * @param bob Of nobody yet.
 * @param link The one-time link of site b.
 * @param said File with what the services have said.
 */
export async function two(alice: Page, bob: Page, link: string, said: string): Promise<void> {
  await enter(bob, link);
  await meet(alice, bob);
  const [hers, his] = [logOf(alice, BOB), logOf(bob, ALICE)];
  const number = await compare(alice);
  expect(number).toMatch(/^(\d{5} ){11}\d{5}$/);
  expect(await compare(bob)).toBe(number);
  await rename(bob, ALICE, 'Alice of the laboratory');

  const letGo = await holdPad(alice);
  await say(alice, BOB, 'from site a');
  await hers.getByRole('button', { name: UNDER_WAY }).click(PATIENCE);
  const under = alice.getByRole('dialog', { name: 'What protected this message' });
  await under.getByRole('heading', { name: 'Its session, under way' }).waitFor();
  await under.getByText('Storage').first().waitFor(PATIENCE);
  await eavesdrop(under);
  await hasNoBarriers(alice, 'a session under way');
  letGo();
  await under.getByText(/^2\.\d\d ± 0\.\d\d$/).waitFor(PATIENCE);
  await alice.keyboard.press('Escape');
  await his.getByText('from site a').waitFor(PATIENCE);
  await say(bob, ALICE, 'from site b');
  await hers.getByText('from site b').waitFor(PATIENCE);
  await hers.getByText('read', { exact: true }).waitFor(PATIENCE);
  for (const page of [alice, bob])
    await page.getByRole('img', { name: 'heard from in the last minute' }).first().waitFor();
  for (const log of [hers, his]) {
    await log.getByRole('button', { name: CHIP }).nth(1).waitFor(PATIENCE);
    await log.getByRole('button', { name: CHIP }).first().click();
    const panel = log.page().getByRole('dialog', { name: 'What protected this message' });
    await panel.getByText('entangled pairs sent').waitFor();
    await panel.getByText(/^2\.\d\d ± 0\.\d\d$/).waitFor();
    await panel.getByText(/^[A-Za-z0-9+/]{96} …$/).waitFor();
    await eavesdrop(panel);
    await hasNoBarriers(log.page(), 'what protected a message');
    await log.page().keyboard.press('Escape');
  }

  const network = await alice.context().newPage();
  await network.goto(alice.url());
  await letEveIn(network);
  await say(alice, BOB, 'kept while Eve listens');
  await alice
    .getByRole('alert')
    .getByText('Not sent: somebody may be listening.')
    .waitFor(PATIENCE);
  await bob
    .getByRole('alert')
    .getByText(`${ALICE} could not send to you: somebody may be listening.`)
    .waitFor(PATIENCE);
  expect(await his.getByText('kept while Eve listens').count()).toBe(0);
  await hasNoBarriers(alice, 'chat while Eve listens');
  await fitsPhone(alice);
  await network.getByRole('button', { name: 'Reset' }).click();
  await his.getByText('kept while Eve listens').waitFor(PATIENCE);
  await bob.getByRole('alert').waitFor({ state: 'hidden' });
  await alice.getByRole('alert').waitFor({ state: 'hidden' });
  await network.close();

  process.kill(relayPid(said), 'SIGKILL');
  await say(alice, BOB, 'over another relay');
  await his.getByText('over another relay').waitFor(PATIENCE);

  for (const page of [alice, bob]) {
    await page.reload();
    const who = page === alice ? BOB : ALICE;
    await page.getByRole('button', { name: new RegExp(`^${who}`) }).click(PATIENCE);
    await logOf(page, who).getByText('from site b').waitFor();
  }
  await block(alice, bob);
  await bob.context().close();
}
