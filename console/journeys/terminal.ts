/** Somebody who has a terminal, and whom a page talks to. */

import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { PATIENCE } from './browser';
import { Talker } from './talker';
import { CHIP, connected } from './two';

const CORRESPONDENT = process.env.CORRESPONDENT ?? '';

/** They come to the relay of a page, which shows the chat then. */
export async function withTerminal(page: Page): Promise<Talker> {
  const pen = new Talker(CORRESPONDENT);
  await connected(page);
  const relay = await page.evaluate(
    async () => (await (await fetch('/api/chat')).json()).relays[0],
  );
  await pen.ask({ relay });
  return pen;
}

/**
 * What the page said comes, and what the terminal says, each under the pad of its own session.
 *
 * @param text The first that the page said.
 */
export async function hearEachOther(page: Page, pen: Talker, text: string): Promise<void> {
  expect(await pen.ask({ do: 'hears', text })).toEqual({ pads: 'pad' });
  const log = page.getByRole('log', { name: 'Messages with Pen' });
  await log.getByText('delivered').waitFor(PATIENCE);
  await pen.ask({ do: 'say', text: 'from a terminal' });
  await log.getByText('from a terminal').waitFor(PATIENCE);
  await log.getByRole('button', { name: CHIP }).nth(1).waitFor(PATIENCE);
  await pen.ask({ do: 'state', text: 'from a terminal', state: 'read' });
}

/** The page and its conversation with them after a reload: what was said is there. */
export async function reopen(page: Page): Promise<void> {
  await page.reload();
  await page.getByText('Connected', { exact: true }).waitFor(PATIENCE);
  await page.getByRole('button', { name: /^Pen/ }).click();
  const log = page.getByRole('log', { name: 'Messages with Pen' });
  await log.getByText('from a terminal').waitFor();
}
