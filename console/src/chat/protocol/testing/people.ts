/** Two people who talk, with pads that both have, for tests. */

import { toHex } from '../../../shared/merkle';
import { ascii, type Bytes, zeros } from '../bytes';
import { type Content, Kind, makeContent } from '../content';
import { PadMissing, PadSpent } from '../errors';
import { type Identity, identityWith, keysOf } from '../identity';
import { accept, begin } from '../opening';
import { type Pads, POINT_BYTES, type Policy, type Slice } from '../pads';
import { type Bundle, LASTING, makePrekey, ONE_TIME, type PrekeySecret } from '../prekeys';
import { type Opened, openMessage, type Sealed, type Session, sealMessage } from '../session';

export const NOW = 1_800_000_000;
const LATER = 1_900_000_000;

/** Pads in memory: those of one side, under which it sends, and those of the other. */
export class PlainPads implements Pads {
  readonly ours = new Map<string, Bytes>();
  readonly theirs = new Map<string, Bytes>();
  readonly reached = new Map<string, number>();
  private readonly spent = new Set<string>();

  async spend(length: number): Promise<Slice | null> {
    for (const [id, pad] of this.ours) {
      const at = this.reached.get(id) ?? POINT_BYTES;
      if (at + length > pad.length) continue;
      this.reached.set(id, at + length);
      return slice(id, pad, at, length);
    }
    return null;
  }

  async look(padId: Bytes, offset: number, length: number): Promise<Slice> {
    const id = toHex(padId);
    const pad = this.theirs.get(id);
    if (!pad) throw new PadMissing(padId);
    const places = Array.from({ length }, (_, at) => `${id} ${offset + at}`);
    const inside = offset >= POINT_BYTES && offset + length <= pad.length;
    if (!inside || places.some((place) => this.spent.has(place)))
      throw new PadSpent('expected bytes of this pad that have not served, got others');
    return slice(id, pad, offset, length);
  }

  erase(spent: readonly Slice[]): void {
    for (const { padId, offset, key } of spent)
      for (let at = 0; at < key.length; at += 1) this.spent.add(`${toHex(padId)} ${offset + at}`);
  }
}

function slice(id: string, pad: Bytes, offset: number, length: number): Slice {
  const padId = Uint8Array.from(id.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const key = pad.slice(offset, offset + length);
  return { padId, offset, point: pad.slice(0, POINT_BYTES), key, source: 'simulated' };
}

/** Give both a pad that the first one sends under; its id. */
export function sharePad(sender: PlainPads, receiver: PlainPads, length: number): string {
  const [id, pad] = [toHex(drawn(16)), drawn(length)];
  sender.ours.set(id, pad);
  receiver.theirs.set(id, pad);
  return id;
}

const drawn = (length: number) => crypto.getRandomValues(new Uint8Array(length));

/** One side: what it keeps, and what it does with it. */
export class Person {
  readonly pads = new PlainPads();
  policy: Policy = 'prefer';

  constructor(public session: Session) {}

  async seal(content: Content): Promise<Sealed> {
    const sealed = await sealMessage(this.session, content, this.pads, this.policy);
    this.session = sealed.session;
    return sealed;
  }

  async say(text: string): Promise<Bytes> {
    return (await this.seal(words(text))).payload;
  }

  async open(payload: Bytes): Promise<Opened> {
    const opened = await openMessage(this.session, payload, this.pads);
    this.session = opened.session;
    this.pads.erase(opened.spent);
    return opened;
  }

  async hear(payload: Bytes): Promise<string> {
    return new TextDecoder().decode((await this.open(payload)).content.text);
  }
}

export function words(text: string): Content {
  return makeContent({ kind: Kind.text, id: zeros(16).fill(1), sentMs: 5, text: ascii(text) });
}

export function receipt(): Content {
  return makeContent({ kind: Kind.delivered, id: zeros(16), sentMs: 0, text: zeros(16) });
}

/** The identity of a seed of 64 bytes. */
export async function identityOf(seed: Bytes): Promise<Identity> {
  const { own, keys } = await keysOf(seed);
  return identityWith(own, keys);
}

export const identity = (number: number): Promise<Identity> => identityOf(zeros(64).fill(number));

/** What somebody has to be written to: bundle, and the private halves. */
export async function reachable(
  owner: Identity,
): Promise<{ bundle: Bundle; lookup: (id: Bytes) => Promise<PrekeySecret | null> }> {
  const lasting = await makePrekey(owner, LASTING, LATER);
  const oneTime = await makePrekey(owner, ONE_TIME, LATER);
  const kept = [lasting, oneTime];
  return {
    bundle: { identity: owner.public, lasting: lasting.prekey, oneTime: oneTime.prekey },
    lookup: async (id) => kept.find(({ prekey }) => toHex(prekey.id) === toHex(id)) ?? null,
  };
}

/** Alice and Bob, after Alice's first words have come to Bob; each has a pad of so many bytes. */
export async function meet(pad = 0): Promise<readonly [Person, Person]> {
  const [first, second] = [await identity(1), await identity(2)];
  const { bundle, lookup } = await reachable(second);
  const alice = new Person(await begin(first, bundle));
  const payload = await alice.say('first');
  const bob = new Person((await accept(second, payload, lookup)).session);
  if (pad) {
    sharePad(alice.pads, bob.pads, pad);
    sharePad(bob.pads, alice.pads, pad);
  }
  await bob.open(payload);
  return [alice, bob];
}

/** The same two, once both have stepped, and know that the other has followed. */
export async function talking(pad = 0): Promise<readonly [Person, Person]> {
  const [alice, bob] = await meet(pad);
  await alice.hear(await bob.say('second'));
  await bob.hear(await alice.say('third'));
  await alice.open((await bob.seal(receipt())).payload);
  return [alice, bob];
}
