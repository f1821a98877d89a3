// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { toHex } from '../../shared/merkle';
import { ascii, type Bytes, join, zeros } from './bytes';
import { BundleRefused, ChatMisuse, RelayMisbehaved } from './errors';
import { close, drop, listen, login, MAX_TTL_S, open, readAnswer, safe } from './frames';
import { IDENTITY_BYTES } from './identity';
import { hex } from './testing/known';
import { identity } from './testing/people';

const [mailbox, right, token] = [zeros(16).fill(0xaa), zeros(32).fill(0xbb), zeros(16).fill(0xcc)];

describe('a frame of a client', () => {
  it('has the bytes of the specification', async () => {
    // SHA-256 of 32 bytes bb, by coreutils' sha256sum.
    const hash = '4ca14526b2751b640d549ce7caf8ac39438592211a0ec370064d57666a682ad6';
    expect(toHex(await open(1, mailbox, right))).toBe(`0200000001${'aa'.repeat(16)}${hash}`);
    expect(toHex(close(2, mailbox))).toBe(`0300000002${'aa'.repeat(16)}`);
    expect(toHex(listen(0x01020304))).toBe('0501020304');
    expect(toHex(safe(2 ** 40))).toBe('060000010000000000');
    expect(toHex(drop(3, right, token, MAX_TTL_S, zeros(512)))).toBe(
      `0400000003${'bb'.repeat(32)}${'cc'.repeat(16)}00278d00${'00'.repeat(512)}`,
    );
  });

  it('signs the challenge with an identity, and no other one', async () => {
    const account = await identity(4);
    const challenge = { nonce: zeros(32).fill(1), relayId: zeros(32).fill(2) };
    const frame = await login(5, account, challenge);
    expect(frame).toHaveLength(5 + 1984 + 3373);
    expect(toHex(frame.slice(0, 5))).toBe('0100000005');
    expect(frame.slice(5, 5 + IDENTITY_BYTES)).toEqual(account.public.bytes);
    const signature = frame.slice(5 + IDENTITY_BYTES);
    const label = ascii('bellwire chat relay 1');
    const text = join(challenge.nonce, challenge.relayId);
    await account.public.verify(signature, text, label);
    const other = join(challenge.relayId, challenge.nonce);
    await expect(account.public.verify(signature, other, label)).rejects.toThrow(BundleRefused);
  });

  it('is not made out of its bounds', async () => {
    expect(() => drop(1, right, token, 0, zeros(512))).toThrow(ChatMisuse);
    expect(() => drop(1, right, token, MAX_TTL_S + 1, zeros(512))).toThrow(ChatMisuse);
    expect(() => drop(1, right, token, 1, zeros(513))).toThrow(ChatMisuse);
    expect(() => drop(1, token, token, 1, zeros(512))).toThrow(ChatMisuse);
    expect(() => drop(1, right, right, 1, zeros(512))).toThrow(ChatMisuse);
    expect(() => close(1, right)).toThrow(ChatMisuse);
    await expect(open(1, right, right)).rejects.toThrow(ChatMisuse);
    expect(() => listen(2 ** 32)).toThrow(RangeError);
  });
});

describe('a frame of a relay', () => {
  const frames: readonly (readonly [string, Bytes, object])[] = [
    [
      'challenge',
      join(hex('8101'), right, right),
      { is: 'challenge', nonce: right, relayId: right },
    ],
    ['done', hex('8200000007'), { is: 'done', request: 7 }],
    ['refused', hex('830000000704'), { is: 'refused', request: 7, reason: 4 }],
    [
      'deliver',
      join(hex('84'), mailbox, hex('0000000000000009'), zeros(4096)),
      { is: 'deliver', mailbox, number: 9, payload: zeros(4096) },
    ],
    ['notice', join(hex('86'), zeros(5388)), { is: 'notice', notice: zeros(5388) }],
  ];

  it.each(frames)('is read: %s', (_, frame, answer) => {
    expect(readAnswer(frame)).toEqual(answer);
    expect(() => readAnswer(frame.slice(0, -1))).toThrow(RelayMisbehaved);
  });

  it.each([
    ['nothing', zeros(0)],
    ['another kind', hex('8700000007')],
    ['one of a client', hex('0500000007')],
    ['another version', join(hex('8102'), right, right)],
    ['an unknown reason', hex('830000000709')],
    ['more than there is', hex('820000000700')],
    ['a payload of another size', join(hex('84'), mailbox, zeros(8), zeros(513))],
    ['a number over 2^53', join(hex('84'), mailbox, zeros(8).fill(255), zeros(512))],
    ['a notice that is too long', join(hex('86'), zeros(9501))],
  ])('is refused: %s', (_, frame) => {
    expect(() => readAnswer(frame)).toThrow(RelayMisbehaved);
  });
});
