/**
 * Pictures of every page, in both themes and three widths, and of every dialog, in two;
 * `tools/console_pictures.py` starts the services and hands over a one-time link and a folder.
 */

import { mkdirSync } from 'node:fs';
import { it } from 'vitest';
import { enter, launch } from './browser';
import { device } from './device';
import { letEveIn } from './eve';
import {
  type Picture,
  picturesOfRemoval,
  picturesOfSession,
  picturesOfShell,
  picturesOfTalk,
  type Windows,
} from './pictured';
import { holdPad, meet, say, UNDER_WAY } from './two';

const EVERY: Windows = { phone: [390, 844], laptop: [1366, 860], wall: [2560, 1440] };

async function main(link: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const browser = await launch();
  const context = await browser.newContext({ reducedMotion: 'reduce' });
  const page = await context.newPage();
  const picture: Picture = async (name, windows = EVERY, of = page) => {
    for (const colorScheme of ['dark', 'light'] as const) {
      for (const [width, [wide, high]] of Object.entries(windows)) {
        await of.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await of.setViewportSize({ width: wide, height: high });
        await of.waitForTimeout(400);
        await of.screenshot({
          path: `${folder}/${name}-${colorScheme}-${width}.png`,
          fullPage: windows === EVERY,
        });
      }
    }
  };
  await page.goto(link.replace(/#.*/, '#/sign-in'));
  await page.getByRole('button', { name: 'Sign in', exact: true }).waitFor();
  await picture('sign-in');
  await page.goto(link);
  await page.getByLabel('New password').waitFor();
  await picture('welcome');
  await enter(page, link);
  await page.getByRole('heading', { name: 'What was measured' }).waitFor();
  await page.waitForTimeout(Number(process.env.WATCH_MS ?? 8000));
  await picture('network-green');
  await picturesOfShell(page, picture);
  await page.getByRole('button', { name: 'Attack', exact: true }).click();
  await page.getByText('No key leaves this link.').waitFor({ timeout: 60_000 });
  await page.waitForTimeout(3000);
  await picture('network-red');
  await page.getByRole('button', { name: 'Reset' }).click();
  await page.getByRole('link', { name: 'Record' }).click();
  await page
    .getByRole('button', { name: /Link status/ })
    .first()
    .click();
  await page.getByText('It is in the record', { exact: true }).waitFor();
  await picture('record');
  await page.getByRole('switch', { name: 'Change one bit of the entry' }).click();
  await page.getByText('Refused', { exact: true }).waitFor();
  await picture('record-refused');
  const home = link.replace(/#.*/, '');
  await device(['register', 'roof-sensor']);
  await page.goto(`${home}#/devices`);
  await page.getByRole('heading', { name: 'roof-sensor' }).waitFor();
  await picture('devices-newcomer');
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.getByRole('button', { name: 'Invite a device' }).click();
  await page.getByLabel('What to call it').fill('garden-gate');
  await picture('devices-invite');
  await page.getByRole('button', { name: 'Make a code' }).click();
  await page.getByRole('img', { name: 'The code, to be scanned' }).waitFor();
  const code = await page.getByRole('status', { name: 'Code', exact: true }).innerText();
  const command = await page.getByText(/^bellwire device enroll --code - --to/).innerText();
  await picture('devices-invitation');
  await page.keyboard.press('Escape');
  await device(['enroll', command.split(' ').at(-1) ?? ''], code);
  await page.getByRole('button', { name: /^garden-gate/ }).click();
  await page.getByRole('img', { name: /^celsius: from/ }).waitFor();
  await picture('devices');
  await picturesOfRemoval(page, picture);
  await page.goto(`${home}#/register`);
  await page.getByLabel('Name').waitFor();
  await picture('register');
  await page.getByLabel('Name').fill('attic-reader');
  await page.getByRole('button', { name: 'Make keys and register' }).click();
  await page.getByText('attic-reader waits', { exact: true }).waitFor();
  await picture('register-waiting');
  await page.goto(`${home}#/chat`);
  await page.getByText('Connected', { exact: true }).waitFor({ timeout: 60_000 });
  await picture('chat-empty');
  const bob = await (await browser.newContext()).newPage();
  await enter(bob, process.env.OTHER_LINK ?? '');
  await meet(page, bob);
  for (const [from, to, text] of [
    [page, 'operator@b', 'Good morning. Is the lamp on?'],
    [bob, 'operator@a', 'It is, since seven. I see 2.71 and rising.'],
    [page, 'operator@b', 'Then I read the counters, and you the temperatures.'],
    [bob, 'operator@a', 'Agreed. 21.4 °C at the source, and steady since the fan is mended.'],
  ] as const) {
    await say(from, to, text);
    await (from === page ? bob : page).getByRole('log').getByText(text).waitFor();
  }
  const letGo = await holdPad(page);
  await say(page, 'operator@b', 'And the roof?');
  const under = page.getByRole('button', { name: UNDER_WAY });
  await under.waitFor({ timeout: 60_000 });
  await picture('chat-session');
  await under.click();
  await picture('chat-unfolding');
  await page.keyboard.press('Escape');
  letGo();
  await bob.getByRole('log').getByText('And the roof?').waitFor();
  await picture('chat');
  await page.getByRole('button', { name: /^pad/ }).first().click();
  await picture('chat-protection');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: /^Safety number/ }).click();
  await page.getByRole('img', { name: /^Code for/ }).waitFor();
  await picture('chat-safety');
  await page.keyboard.press('Escape');
  const network = await context.newPage();
  await network.goto(page.url());
  await letEveIn(network);
  await say(page, 'operator@b', 'Did you hear that?');
  await page.getByRole('alert').waitFor();
  await picture('chat-aborted');
  await network.getByRole('button', { name: 'Reset' }).click();
  await bob.getByRole('log').getByText('Did you hear that?').waitFor({ timeout: 60_000 });
  await picturesOfSession(network, (name, windows) => picture(name, windows, network));
  await network.close();
  await picturesOfTalk(page, bob, picture);
  await bob.context().close();
  await page.goto(`${home}#/lab`);
  await page.getByText(/^A key of/).waitFor({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Keep' }).click();
  await page.goto(`${home}#/lab?eve=intercept-resend&share=0.3&pulses=5000`);
  await page.getByText('--pulses 5000 --eve intercept-resend:0.3').waitFor({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Keep' }).click();
  await picture('lab-eve');
  await page.goto(`${home}#/lab?hidden=true`);
  await page.getByText('--engine hidden-variables').waitFor({ timeout: 60_000 });
  await picture('lab-hidden');
  await page.goto(`${home}#/lab?protocol=decoy-bb84&km=25`);
  await page
    .getByText(/^No key|^A key/)
    .first()
    .waitFor({ timeout: 60_000 });
  await page.waitForTimeout(3000);
  await picture('lab-decoy');
  await browser.close();
}

const { PICTURES_OF: link, PICTURES: folder } = process.env;

it.runIf(link && folder)(
  'pictures',
  async () => {
    await main(link ?? '', folder ?? '');
  },
  600_000,
);
