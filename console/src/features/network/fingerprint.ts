/** The first 64 bits of SHA-256 over the key, in groups of four digits: enough to compare by voice. */
export async function fingerprintOf(hex: string): Promise<string> {
  const key = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', key));
  const digits = Array.from(digest.slice(0, 8), (byte) => byte.toString(16).padStart(2, '0'));
  return digits.join('').replace(/(.{4})(?=.)/g, '$1 ');
}
