/**
 * What is refused in a conversation; none of these carries a byte of a key, a pad or a text.
 *
 * The names are those of the errors of the Python side.
 */

import type { Bytes } from './bytes';

/** Our own call: out of order, too long, malformed. */
export class ChatMisuse extends Error {
  override name = 'ChatMisuse';
}

/** There is no session with somebody: nothing can be said to them. */
export class SessionAbsent extends ChatMisuse {
  override name = 'SessionAbsent';
}

/** A group cannot be made, changed or written to so. */
export class GroupUnusable extends ChatMisuse {
  override name = 'GroupUnusable';
}

export class ChatRefused extends Error {
  override name = 'ChatRefused';
}

/** A key or a ciphertext is of another length, out of range, or of low order. */
export class KemRefused extends ChatRefused {
  override name = 'KemRefused';
}

/** A peer's keys are altered, another's, or expired; no session begins. */
export class BundleRefused extends ChatRefused {
  override name = 'BundleRefused';
}

/** The first message of a session is altered, replayed, or names keys that are gone. */
export class OpeningRefused extends ChatRefused {
  override name = 'OpeningRefused';
}

/** A contact link is none, was cut, or its keys are not valid; nobody was added. */
export class LinkRefused extends ChatRefused {
  override name = 'LinkRefused';
}

/** The code of a file of history is none, or has a slip. */
export class CodeMalformed extends ChatMisuse {
  override name = 'CodeMalformed';
}

/** A file of history is none, was cut or changed, or is not of this code; nothing was taken. */
export class HistoryRefused extends ChatRefused {
  override name = 'HistoryRefused';
}

/** The policy is `require`, and no pad of ours has as many bytes left; nothing was sent. */
export class PadExhausted extends ChatRefused {
  override name = 'PadExhausted';

  constructor(readonly needed: number) {
    super(
      `the policy requires one-time pad, and no pad has the ${needed} bytes left that this takes`,
    );
  }
}

/** What came over the line is no frame of the relay's protocol, or of another version. */
export class RelayMisbehaved extends Error {
  override name = 'RelayMisbehaved';
}

/** The relay refuses what was asked of it; `reason` is its number. */
export class RelayRefused extends Error {
  override name = 'RelayRefused';

  constructor(readonly reason: number) {
    super(`the relay refuses: reason ${reason}`);
  }
}

/** The relay's accounts did not do what they were asked for; `reason` is their number. */
export class AccountRefused extends Error {
  override name = 'AccountRefused';

  constructor(readonly reason: number) {
    super(`the relay's accounts refuse: reason ${reason}`);
  }
}

/** A handle names another identity than before: somebody may be in between. */
export class IdentityChanged extends ChatRefused {
  override name = 'IdentityChanged';

  constructor(readonly handle: string) {
    super(`expected @${handle} to be who it was, got another identity from the relay`);
  }
}

/** The line to the relay has ended; whether it did what was asked is not known. */
export class RelayUnreachable extends Error {
  override name = 'RelayUnreachable';
}

/** A message is not shown, and nothing that we keep was changed by it. */
export class MessageRefused extends ChatRefused {
  override name = 'MessageRefused';
}

/** What came has not the length or the form of a message. */
export class PayloadMalformed extends MessageRefused {
  override name = 'PayloadMalformed';
}

/** The message is not the one that our peer sealed for us at this place. */
export class NotAuthentic extends MessageRefused {
  override name = 'NotAuthentic';
}

/** The session's keys open the message, and its one-time tag does not hold. */
export class PadDiffers extends NotAuthentic {
  override name = 'PadDiffers';

  constructor(
    readonly padId: Bytes,
    /** Of the message, as its sender says; null where the message does not say. */
    readonly contentId: Bytes | null,
  ) {
    super('expected the one-time tag of this message, got another');
  }
}

/** The message was opened before, or is older than what can be told from that. */
export class Replayed extends MessageRefused {
  override name = 'Replayed';
}

/** Too many messages before this one are missing. */
export class TooManySkipped extends MessageRefused {
  override name = 'TooManySkipped';
}

/** The message's keys come from a step of the ratchet that cannot be taken. */
export class EpochUnknown extends MessageRefused {
  override name = 'EpochUnknown';
}

/** The message names a pad that is not here; with the pad, it can be opened. */
export class PadMissing extends MessageRefused {
  override name = 'PadMissing';
  contentId: Bytes | null = null;

  constructor(readonly padId: Bytes) {
    super('expected the pad that the message names to be here');
  }
}

/** The message names bytes of a pad that served before, or that the pad never had. */
export class PadSpent extends MessageRefused {
  override name = 'PadSpent';
  contentId: Bytes | null = null;
}

/** The message is authentic, and says nothing that this version understands. */
export class ContentMalformed extends MessageRefused {
  override name = 'ContentMalformed';
}

/** It is of somebody who is not in the group, or a roster that is not its admin's. */
export class GroupRefused extends MessageRefused {
  override name = 'GroupRefused';

  constructor(
    message: string,
    /** Of what was said; null where it is no message. */
    readonly contentId: Bytes | null = null,
  ) {
    super(message);
  }
}

/** Somebody who was not accepted yet says more than is kept of them, or something else than words. */
export class StrangerRefused extends MessageRefused {
  override name = 'StrangerRefused';
}
