/** Every sentence of finding people by their handles, which are loaded with the page Chat. */
export const people = {
  find: 'Find people',
  lead: 'By their handle at this relay, or how it begins. A search shows who is listed; others are added by their whole handle. The relay does not learn who asks.',
  label: 'Handle, or how it begins',
  search: 'Search',
  found: 'Handles that were found',
  none: 'Nobody who is listed begins so. Who is not listed is added by the whole handle.',
  add: (handle: string) => `Add @${handle}`,
  waits:
    'They decide whether to hear you: until then you see no more than that what you write was sent. Compare safety numbers afterwards, for the relay could name somebody else.',

  malformed:
    'A handle has 3 to 32 letters a to z, digits, - and _, a letter first; its beginning at least 2.',
  changed: (handle: string) =>
    `@${handle} is somebody else than before. Nobody was added: ask them by another way, for this may be an impostor.`,
  noRelay:
    'The relay says what no relay says, or is another than at first. Nothing was told to it.',
  reasons: {
    1: 'The handle or the password is wrong.',
    2: 'The handle, or one that looks like it, is or was somebody’s. Choose another.',
    3: 'Too much was asked for at once. Try again in a few minutes.',
    4: 'Nobody of that handle can be found.',
    5: 'There is no room for more.',
    6: 'The relay’s store failed, and nothing was done. Try again.',
    7: 'A signature does not hold.',
    8: 'The session at the relay has ended. Log in again.',
    9: 'A key has expired, or expires too late: compare this device’s clock with the relay’s.',
    10: 'The account has no such device.',
    11: 'A name or a value is not permitted.',
    12: 'A new handle takes an invitation of the relay’s operator, which serves once.',
    13: 'The relay gives no new handles.',
  } as Readonly<Record<number, string>>,
} as const;
