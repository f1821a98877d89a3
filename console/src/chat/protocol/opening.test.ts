// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { type Bytes, zeros } from './bytes';
import { BundleRefused, ChatMisuse, OpeningRefused } from './errors';
import { accept, begin, openingId } from './opening';
import { encodeBundle, PREKEY_BYTES, readBundle } from './prekeys';
import { OPENING_BYTES, openMessage } from './session';
import { identity, NOW, Person, reachable } from './testing/people';

const altered = (bytes: Bytes, at: number) =>
  bytes.map((byte, place) => (place === at ? byte ^ 1 : byte));

describe('an opening', async () => {
  const [alice, bob] = [await identity(1), await identity(2)];
  const { bundle, lookup } = await reachable(bob);
  const person = new Person(await begin(alice, bundle));
  const payload = await person.say('hello');

  it('says who begins, by one signature of two keys', async () => {
    const { session, peer, oneTime } = await accept(bob, payload, lookup);
    expect(peer.fingerprint).toEqual(alice.public.fingerprint);
    expect(oneTime).toEqual(bundle.oneTime?.id);
    expect(session.id).toEqual(person.session.id);
    const { content } = await openMessage(session, payload, null);
    expect(new TextDecoder().decode(content.text)).toBe('hello');
    expect(await openingId(payload)).toEqual(session.openingId);
    expect(await openingId(await person.say('again'))).toEqual(session.openingId);
    expect(await openingId(zeros(512).fill(2))).toBeNull();
  });

  it('goes without a one-time prekey', async () => {
    const other = new Person(await begin(alice, { ...bundle, oneTime: null }));
    expect((await accept(bob, await other.say('x'), lookup)).oneTime).toBeNull();
  });

  it('is refused if anything of it was altered', async () => {
    for (let at = 1; at <= OPENING_BYTES; at += 443)
      await expect(accept(bob, altered(payload, at), lookup)).rejects.toThrow(OpeningRefused);
  });

  it('is refused for prekeys that are gone, of another, or in their other kind', async () => {
    await expect(accept(bob, payload, async () => null)).rejects.toThrow(OpeningRefused);
    const others = await reachable(bob);
    const swapped = () => others.lookup(others.bundle.lasting.id);
    await expect(accept(bob, payload, swapped)).rejects.toThrow(OpeningRefused);
    const lasting = () => lookup(bundle.lasting.id);
    await expect(accept(bob, payload, lasting)).rejects.toThrow(OpeningRefused);
    await expect(accept(alice, payload, lookup)).rejects.toThrow(OpeningRefused);
    await expect(accept(bob, zeros(512).fill(2), lookup)).rejects.toThrow(OpeningRefused);
  });

  it('is not to ourselves, nor from ourselves', async () => {
    await expect(begin(bob, bundle)).rejects.toThrow(ChatMisuse);
    // Whoever does not look begins one with themselves; it is seen when it comes.
    const { bytes, fingerprint } = bob.public;
    const verify = () => bob.public.verify(zeros(0), zeros(0), zeros(0));
    const unseen = { bytes, fingerprint, verify, is: () => false };
    const mirror = await new Person(await begin(bob, { ...bundle, identity: unseen })).say('me');
    await expect(accept(bob, mirror, lookup)).rejects.toThrow("somebody else's");
  });
});

describe('a bundle', async () => {
  const [bob, mallory] = [await identity(2), await identity(3)];
  const { bundle } = await reachable(bob);
  const whole = encodeBundle(bundle);
  const { fingerprint } = bob.public;

  it('is read as it was written', async () => {
    const read = await readBundle(whole, fingerprint, NOW);
    expect(encodeBundle(read)).toEqual(whole);
    const lasting = whole.slice(0, whole.length - PREKEY_BYTES);
    expect((await readBundle(lasting, fingerprint, NOW)).oneTime).toBeNull();
  });

  it("is refused if it was altered or cut, is another's, or has expired", async () => {
    const refused = (bytes: Bytes, name = fingerprint, now = NOW) =>
      expect(readBundle(bytes, name, now)).rejects.toThrow(BundleRefused);
    for (let at = 0; at < whole.length; at += 599) await refused(altered(whole, at));
    await refused(whole.slice(1));
    await refused(zeros(0));
    await refused(whole, mallory.public.fingerprint);
    await refused(whole, fingerprint, 1_900_000_000);
    const foreign = (await reachable(mallory)).bundle.lasting;
    await refused(encodeBundle({ ...bundle, lasting: foreign }));
    if (bundle.oneTime) await refused(encodeBundle({ ...bundle, lasting: bundle.oneTime }));
  });
});
