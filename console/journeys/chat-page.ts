/** What a page needs to talk; the journey of the chat bundles it. */

export { ascii } from '../src/chat/protocol/bytes';
export { Kind, makeContent } from '../src/chat/protocol/content';
export { lattice } from '../src/chat/protocol/lattice';
export { encodeBundle, readBundle } from '../src/chat/protocol/prekeys';
export { safetyNumber } from '../src/chat/protocol/safety';
export { PAD, padRecord } from '../src/chat/state/pads';
export { freshBundle, ownIdentity } from '../src/chat/state/person';
export { meet } from '../src/chat/state/renewing';
export { hear, messages, say, taken, waiting } from '../src/chat/state/talk';
export { Vault } from '../src/chat/state/vault';
export { toHex } from '../src/shared/merkle';
