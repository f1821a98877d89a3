// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { toHex } from '../../shared/merkle';
import { ascii, type Bytes, join, zeros } from './bytes';
import { type Card, encodeCard, isRelay, makeLink, readCard, readLink } from './card';
import { ContentMalformed, LinkRefused } from './errors';
import { safetyCode } from './safety';
import { hex, known } from './testing/known';
import { identity, NOW, reachable } from './testing/people';

interface Known {
  right: string;
  words: [string, string, string];
  relay_id: string;
  hints: string[];
  card: string;
}

function cardOf({ right, words: [relay, sae, name], relay_id, hints }: Known): Card {
  const card = { right: hex(right), relay, sae, name };
  return hints.length ? { ...card, moved: { relayId: hex(relay_id), places: hints } } : card;
}

const answers = known<Known[]>('chat/card.json');
const HINT = 'ws://192.0.2.2:24117';
const bare: Card = { right: zeros(32), relay: 'ws://192.0.2.1:8765', sae: 'app-b', name: 'Bob' };
const moved = (places: readonly string[], relayId: Bytes = zeros(32)): Card => ({
  ...bare,
  moved: { relayId, places },
});

describe('a card', () => {
  it.each(answers)('has the known bytes', (answer) => {
    expect(toHex(encodeCard(cardOf(answer)))).toBe(answer.card);
    expect(readCard(hex(answer.card))).toEqual(cardOf(answer));
  });

  it('is refused if it is cut, or has something behind it', () => {
    const whole = encodeCard(moved([HINT]));
    const head = encodeCard(bare).length;
    for (let end = 0; end < whole.length; end += 1)
      if (end !== head) expect(() => readCard(whole.slice(0, end))).toThrow(ContentMalformed);
    expect(() => readCard(Uint8Array.of(...whole, 0))).toThrow(ContentMalformed);
    expect(() => readCard(Uint8Array.of(...whole.slice(0, head), 0))).toThrow(ContentMalformed);
  });

  it.each<Card>([
    { ...bare, name: '' },
    { ...bare, name: 'Bob\u001b[2J' },
    { ...bare, name: 'Bob\u202e' },
    { ...bare, relay: 'http://192.0.2.1:8765' },
    { ...bare, relay: 'ws://192.0.2.1:8765#x' },
    { ...bare, relay: 'ws://somebody@192.0.2.1' },
    moved([]),
    moved([HINT, HINT]),
    moved([1, 2, 3, 4, 5].map((port) => `ws://192.0.2.2:${port}`)),
    moved([HINT], zeros(31)),
    moved(['http://192.0.2.2:1']),
    moved(['ws://192.0.2.2']),
    moved(['ws://192.0.2.2:1/path']),
    moved(['ws://someone@192.0.2.2:1']),
    moved(['ws://HOST:1']),
    moved(['ws://host.:1']),
    moved(['ws://192.0.2:1']),
    moved(['ws://[2001:db8:0::7]:1']),
    moved(['ws://192.0.2.2:65536']),
    moved(['']),
  ])('is refused with %j', (card) => {
    expect(() => readCard(encodeCard(card))).toThrow(ContentMalformed);
  });

  it('names a relay by an address alone', () => {
    expect(isRelay('ws://h:1')).toBe(true);
    expect(isRelay('ws://h:1#')).toBe(false);
    expect(isRelay('ws://h:0')).toBe(false);
    expect(isRelay('nonsense')).toBe(false);
  });
});

describe('a contact link', async () => {
  const owner = await identity(2);
  const { bundle } = await reachable(owner);
  const link = makeLink(bundle, bare);

  it('is read as it was made, wherever lines were broken', async () => {
    const broken = link.replaceAll(/(.{60})/g, '$1\n  ');
    const read = await readLink(broken, NOW);
    expect(read.card).toEqual(bare);
    expect(makeLink(read.bundle, read.card)).toBe(link);
  });

  it('is refused if it was cut or changed, has expired, or is none', async () => {
    const at = link.length - 900;
    const changed = `${link.slice(0, at)}${link[at] === 'A' ? 'B' : 'A'}${link.slice(at + 1)}`;
    const bad = [link.slice(0, -4), link.slice(0, 40), changed, `${link}!`, `${link}A`, 'x', ''];
    for (const each of bad) await expect(readLink(each, NOW)).rejects.toThrow(LinkRefused);
    await expect(readLink(link + 'A'.repeat(24_000), NOW)).rejects.toThrow(LinkRefused);
    await expect(readLink(link, 1_900_000_000)).rejects.toThrow(LinkRefused);
  });
});

it('a safety code is ones own view of the two', async () => {
  const [one, other] = [await identity(1), await identity(2)];
  const [own, peer] = [one.public.fingerprint, other.public.fingerprint];
  expect(safetyCode(own, peer)).toEqual(join(ascii('bwsn'), Uint8Array.of(1), own, peer));
  expect(safetyCode(peer, own)).toEqual(join(ascii('bwsn'), Uint8Array.of(1), peer, own));
});
