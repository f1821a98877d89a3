// @vitest-environment node
/** Known answers of vectors/chat: the browser's side and the slow reference give the same bytes. */

import { describe, expect, it } from 'vitest';
import { toHex } from '../../shared/merkle';
import { ascii, type Bytes, zeros } from './bytes';
import { Kind, makeContent } from './content';
import type { Draws } from './draws';
import type { Identity } from './identity';
import { decapsulate } from './kem';
import { accept, begin } from './opening';
import { encodeBundle, type PrekeySecret, readBundle } from './prekeys';
import { safetyNumber } from './safety';
import { openMessage, sealMessage } from './session';
import { hex, known } from './testing/known';
import { identityOf, PlainPads } from './testing/people';

interface Talk {
  script: Record<string, string> & { texts: string[] };
  values: Record<string, string>;
}

const TURNS = 4;
const talks = known<Talk[]>('chat/talk.json').map(
  (talk) => [/^0+$/.test(talk.script.once_id ?? '') ? 'without' : 'with', talk] as const,
);

describe.each(talks)('a talk %s one-time prekey', (_, { script, values }) => {
  const of = (name: string): Bytes => hex(script[name] ?? '');
  const value = (name: string): Bytes => hex(values[name] ?? '');
  const cut = (name: string, at: number, size: number) =>
    of(name).slice(at * size, (at + 1) * size);
  const bundle = async (bob: Identity) =>
    readBundle(value('bundle'), bob.public.fingerprint, 1_800_000_000);

  async function lookupOf(bob: Identity): Promise<(id: Bytes) => Promise<PrekeySecret | null>> {
    const { lasting, oneTime } = await bundle(bob);
    const kept = [{ prekey: lasting, seed: of('lasting_seed') }];
    if (oneTime) kept.push({ prekey: oneTime, seed: of('once_seed') });
    return async (id) => kept.find(({ prekey }) => toHex(prekey.id) === toHex(id)) ?? null;
  }

  /** What the script says instead of what is drawn: by the length that is asked for. */
  function scripted(): Draws {
    const secrets = value('secrets');
    const openings = [
      { ciphertext: of('ct_lasting'), secret: secrets.slice(0, 32) },
      { ciphertext: of('ct_once'), secret: secrets.slice(32) },
    ].slice(0, script.once_signature ? 2 : 1);
    const seeds = [of('offered_seed')];
    for (let turn = 0; turn < TURNS; turn += 1) seeds.push(cut('step_seeds', turn, 32));
    const nonces = Array.from({ length: TURNS + 1 }, (_each, turn) =>
      cut('header_nonces', turn, 12),
    );
    let steps = 0;
    return {
      bytes: (length) => (length === 12 ? nonces : seeds).shift() ?? zeros(0),
      async encapsulate() {
        const first = openings.shift();
        if (first) return first;
        const offered = steps ? cut('step_seeds', steps - 1, 32) : of('offered_seed');
        const ciphertext = cut('step_ciphertexts', steps, 1120);
        steps += 1;
        return { ciphertext, secret: await decapsulate(offered, ciphertext) };
      },
    };
  }

  it('has the kept payloads, sealed and opened by both sides', async () => {
    const [alice, bob] = [await identityOf(of('alice')), await identityOf(of('bob'))];
    const draws = scripted();
    const signing = { ...alice, sign: async () => of('hello_signature') };
    const first = await begin(signing, await bundle(bob), draws);
    expect(toHex(first.id)).toBe(values.session_id);
    expect(toHex(first.ratchet.root)).toBe(values.root);
    const accepted = await accept(bob, value('payload_0'), await lookupOf(bob));
    expect(toHex(accepted.peer.fingerprint)).toBe(toHex(alice.public.fingerprint));
    expect(accepted.oneTime !== null).toBe(script.once_signature !== '');
    const sides = [first, accepted.session];
    const pads = [new PlainPads(), new PlainPads()] as const;
    for (const who of [0, 1] as const) {
      const id = toHex(cut('pad_ids', who, 16));
      pads[who].ours.set(id, cut('pads', who, 256));
      pads[1 - who]?.theirs.set(id, cut('pads', who, 256));
    }
    for (let turn = 0; turn <= TURNS; turn += 1) {
      const [who, other] = [turn % 2, 1 - (turn % 2)];
      const [sender, receiver] = [sides[who] ?? first, sides[other] ?? first];
      const content = makeContent({
        kind: Kind.text,
        id: zeros(16).fill(turn),
        sentMs: 1_800_000_000_000 + turn,
        text: ascii(script.texts[turn] ?? ''),
      });
      const policy = turn < TURNS ? 'require' : 'off';
      const sealed = await sealMessage(sender, content, pads[who] ?? null, policy, draws);
      expect(toHex(sealed.payload), `payload ${turn}`).toBe(values[`payload_${turn}`]);
      const opened = await openMessage(receiver, sealed.payload, pads[other] ?? null);
      expect(opened.content).toEqual(content);
      expect(opened.protection).toEqual(sealed.protection);
      expect(opened.protection.padSource !== null).toBe(turn < TURNS);
      expect(opened.protection.mixedSource !== null).toBe(turn === 1 || turn === 2);
      pads[other]?.erase(opened.spent);
      [sides[who], sides[other]] = [sealed.session, opened.session];
    }
    for (const side of sides) expect(toHex(side.ratchet.root)).toBe(values[`root_${TURNS}`]);
  });

  it('has the kept bundle, written as it was read', async () => {
    const bob = await identityOf(of('bob'));
    expect(toHex(encodeBundle(await bundle(bob)))).toBe(values.bundle);
  });

  it('has the kept safety number, whoever looks', async () => {
    const [one, other] = [await identityOf(of('alice')), await identityOf(of('bob'))];
    const [first, second] = [one.public.fingerprint, other.public.fingerprint];
    const number = new TextDecoder().decode(value('safety_number'));
    expect(await safetyNumber(first, second)).toBe(number);
    expect(await safetyNumber(second, first)).toBe(number);
  });
});
