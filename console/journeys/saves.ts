/** How a browser saves what a page makes. */

import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { PATIENCE } from './browser';

/** Press what saves a file of this name; where it is then. */
export type Save = (name: string, press: () => Promise<void>) => Promise<string>;

export function savesOf(page: Page): Save {
  return async (name, press) => {
    const saving = page.waitForEvent('download');
    await press();
    const saved = await saving;
    expect(saved.suggestedFilename()).toBe(name);
    return saved.path();
  };
}

/** The same in Firefox ESR 153, whose driver tells nothing of files that a page makes itself. */
export function savesIn(folder: string): Save {
  return async (name, press) => {
    const path = join(folder, name);
    await rm(path, { force: true }); // else it would save under another name
    await press();
    await expect.poll(() => isWhole(path), PATIENCE).toBe(true);
    return path;
  };
}

/** Its name is taken by an empty file at first; what comes is in another one until all is there. */
async function isWhole(path: string): Promise<boolean> {
  const [size, part] = await Promise.all([sizeOf(path), sizeOf(`${path}.part`)]);
  return size !== null && size > 0 && part === null;
}

const sizeOf = (path: string) =>
  stat(path).then(
    ({ size }) => size,
    () => null,
  );
