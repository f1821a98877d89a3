import { expect, it } from 'vitest';
import { fingerprintOf } from './fingerprint';

it('is the beginning of SHA-256, which anybody can compute', async () => {
  // FIPS 180-2, B.1: SHA-256 of "abc".
  expect(await fingerprintOf('616263')).toBe('ba78 16bf 8f01 cfea');
});
