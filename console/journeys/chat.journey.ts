/**
 * A browser and the Python side talk: the browser's own cryptography, keys in its IndexedDB, reloads
 * in between. TALKER is the command of the other side, which `tests/pages` hands over.
 */

import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch } from './browser';
import type * as Chat from './chat-page';
import { type Answer, Talker } from './talker';

const program = process.env.TALKER ?? '';
const HOME = 'http://localhost/';

/** Sixteen bytes, others for each word. */
const idOf = (word: string) => Buffer.from(word.padEnd(16)).toString('hex');

/** One file of everything that the page needs. */
async function bundle(): Promise<string> {
  const made = await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      target: 'es2023',
      minify: false,
      lib: { entry: join(import.meta.dirname, 'chat-page.ts'), formats: ['es'] },
      rollupOptions: { output: { codeSplitting: false } },
    },
  });
  const [first] = [made].flat();
  if (!first || !('output' in first)) throw new Error('expected what was built, got nothing');
  return first.output[0].code;
}

describe.runIf(program)('a browser and the Python side', () => {
  let browser: Browser;
  let page: Page;
  let talker: Talker;
  const pads = [
    ['a1'.repeat(16), 'ours'],
    ['b2'.repeat(16), 'theirs'],
  ] as const;

  beforeAll(async () => {
    const script = await bundle();
    browser = await launch();
    page = await browser.newPage();
    // An origin that counts as secure, without a server: what is asked for is answered here.
    await page.route(`${HOME}**`, (route) =>
      route.request().url().endsWith('chat.js')
        ? route.fulfill({ contentType: 'text/javascript', body: script })
        : route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>x</title>' }),
    );
    talker = new Talker(program);
    await page.goto(HOME);
  });

  afterAll(async () => {
    await browser.close();
    expect(await talker.end()).toBe(0);
  });

  /** Run something in the page, with what it needs to talk. */
  async function inPage<T>(
    work: (chat: typeof Chat, own: Own, given: Answer) => Promise<T>,
    given: Answer = {},
  ): Promise<T> {
    const source = `(async (given) => {
      const chat = await import('${HOME}chat.js');
      const vault = await chat.Vault.open('chat');
      const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (two) => parseInt(two, 16));
      const own = { vault, identity: await chat.ownIdentity(vault), bytes };
      try { return await (${work.toString()})(chat, own, given); } finally { vault.close(); }
    })(${JSON.stringify(given)})`;
    return (await page.evaluate(source)) as T;
  }

  interface Own {
    vault: Chat.Vault;
    identity: Awaited<ReturnType<typeof Chat.ownIdentity>>;
    bytes: (hex: string) => Uint8Array<ArrayBuffer>;
  }

  const sayTo = (peer: string, text: string, policy: string) =>
    inPage(
      async (chat, { vault }, given) => {
        const id = crypto.getRandomValues(new Uint8Array(16));
        const content = chat.makeContent({
          kind: chat.Kind.text,
          id,
          sentMs: 5,
          text: chat.ascii(given.text ?? ''),
        });
        await chat.say(vault, given.peer ?? '', content, given.policy as 'require');
        const [first] = await chat.waiting(vault);
        if (first) await chat.taken(vault, first.key);
        return first ? chat.toHex(first.value.payload) : '';
      },
      { peer, text, policy },
    );

  const hearIn = (payload: string) =>
    inPage(
      async (chat, { vault, identity, bytes }, given) => {
        const heard = await chat.hear(vault, identity, bytes(given.payload ?? ''), 1_800_000_000);
        return new TextDecoder().decode(heard.content.text);
      },
      { payload },
    );

  it('has the lattices of the browser, and signing keys that no script can read', async () => {
    const seen = await inPage(async (chat, { vault }) => [
      (await chat.lattice()).isNative,
      (await vault.key('ed25519'))?.extractable,
      (await vault.key('ml-dsa-65'))?.extractable,
    ]);
    expect(seen).toEqual([true, false, false]);
  });

  it('begins with somebody of Python, and both talk under pad, over reloads', async () => {
    const { bundle: encoded = '', fingerprint = '' } = await talker.ask({ do: 'bundle' });
    await inPage(
      async (chat, { vault, identity, bytes }, given) => {
        const name = bytes(given.fingerprint ?? '');
        const read = await chat.readBundle(bytes(given.encoded ?? ''), name, 1_800_000_000);
        await chat.meet(vault, identity, read, [], 1_800_000_000, async () => []);
      },
      { encoded, fingerprint },
    );
    for (const [key, whose] of pads) {
      await talker.ask({ do: 'pad', key, whose: whose === 'ours' ? 'theirs' : 'ours' });
      await inPage(
        async (chat, { vault, bytes }, given) => {
          const id = bytes(given.key ?? '');
          const key = Uint8Array.from({ length: 512 }, (_, at) => (at * 7 + (id[0] ?? 0)) % 256);
          const ours = given.whose === 'ours';
          const about = { peer: given.peer ?? '', ours, order: 0, id, source: 'simulated' };
          const value = chat.padRecord(about, key);
          const change = { kind: chat.PAD, key: given.key ?? '', value, expected: 0 };
          await vault.commit([change]);
        },
        { key, whose, peer: fingerprint },
      );
    }
    const first = await sayTo(fingerprint, 'from a browser: ½', 'require');
    expect(await talker.ask({ do: 'accept', payload: first })).toMatchObject({
      text: 'from a browser: ½',
      pad: 'simulated',
    });
    await page.reload();
    for (const turn of ['one', 'two', 'three']) {
      const { payload = '' } = await talker.ask({ do: 'say', text: turn, id: idOf(turn) });
      expect(await hearIn(payload)).toBe(turn);
      const answer = await sayTo(fingerprint, `${turn} back`, 'require');
      expect(await talker.ask({ do: 'hear', payload: answer })).toMatchObject({
        text: `${turn} back`,
        pad: 'simulated',
      });
      await page.reload();
    }
    const told = await inPage(
      async (chat, { vault }, given) =>
        (await chat.messages(vault, given.peer ?? '')).map(({ protections }) =>
          protections.map(({ padSource }) => padSource),
        ),
      { peer: fingerprint },
    );
    expect(told).toEqual(Array(7).fill(['simulated']));
  });

  it('has the same safety number', async () => {
    const { fingerprint = '' } = await talker.ask({ do: 'bundle' });
    const { number, peer } = await inPage(
      async (chat, { identity, bytes }, given) => {
        const own = identity.public.fingerprint;
        const number = await chat.safetyNumber(own, bytes(given.fingerprint ?? ''));
        return { number, peer: chat.toHex(own) };
      },
      { fingerprint },
    );
    expect(await talker.ask({ do: 'safety', peer })).toEqual({ number });
  });

  it('is reached by somebody of Python through a bundle of its own', async () => {
    const made = await inPage(async (chat, { vault, identity }) => {
      const bundle = await chat.freshBundle(vault, identity, 1_800_000_000, 86_400);
      const fingerprint = chat.toHex(identity.public.fingerprint);
      return { bundle: chat.toHex(chat.encodeBundle(bundle)), fingerprint };
    });
    const { payload = '' } = await talker.ask({ do: 'begin', ...made });
    expect(await hearIn(payload)).toBe('from Python');
    await expect(hearIn(payload)).rejects.toThrow('Replayed');
    const { fingerprint = '' } = await talker.ask({ do: 'bundle' });
    const answer = await sayTo(fingerprint, 'welcome', 'prefer');
    expect(await talker.ask({ do: 'hear', payload: answer })).toMatchObject({ text: 'welcome' });
  });
});
