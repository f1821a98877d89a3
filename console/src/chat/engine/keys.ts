/** Pads of the site's own key server, as its console hands them to this page, each once. */

import { type Answer, ApiError, body, client } from '../../api/client';
import { fromBase64Url } from '../protocol/base64';
import type { Bytes } from '../protocol/bytes';
import type { SessionRecord } from '../state/talk';

/** These keys will never be had. */
export class KeysGone extends Error {
  override name = 'KeysGone';
}

/** There are none now; the same may be had later. */
export class KeysAbsent extends Error {
  override name = 'KeysAbsent';
}

export interface Drawn {
  readonly source: string;
  readonly keyIds: readonly string[];
  readonly pad: Bytes;
}

/** What a session made. */
export interface Made {
  /** Its id, a UUID. */
  readonly session: string;
  readonly record: SessionRecord | null;
  /** Null if it was aborted. */
  readonly pad: Bytes | null;
}

/** The key server of our site; each of these throws KeysGone or KeysAbsent. */
export interface KeySource {
  /** Who we are to it. */
  readonly sae: string;
  /** A pad of at least so many bytes, whose keys the other SAE can fetch. */
  draw(peer: string, least: number): Promise<Drawn>;
  /**
   * A pad of so many bytes by a session of its own, which the other SAE can fetch by its id.
   *
   * @param mark By what our way tells of the session while it goes on.
   */
  make(peer: string, bytes: number, mark: string): Promise<Made>;
  /** Whether the link is RED now, so that no key leaves it. */
  isRed(): Promise<boolean>;
  /** The pad that the other SAE drew. */
  fetch(peer: string, keyIds: readonly string[]): Promise<Omit<Drawn, 'keyIds'>>;
  /** The pad of a session that the other SAE asked for; null if it was aborted. */
  session(peer: string, session: string): Promise<Omit<Made, 'session'>>;
}

export class ConsoleKeys implements KeySource {
  constructor(readonly sae: string) {}

  async draw(peer: string, least: number): Promise<Drawn> {
    const drawn = await had(client.POST('/api/chat/pads', { body: { peer, least } }));
    return { source: drawn.source, keyIds: drawn.key_ids, pad: fromBase64Url(drawn.pad) };
  }

  async make(peer: string, bytes: number, mark: string): Promise<Made> {
    const asked = { peer, bytes, mark };
    const made = await had(client.POST('/api/chat/pads/fresh', { body: asked }));
    return { ...made, pad: made.pad === null ? null : fromBase64Url(made.pad) };
  }

  async isRed(): Promise<boolean> {
    return (await had(client.GET('/api/network'))).link.status === 'RED';
  }

  async fetch(peer: string, keyIds: readonly string[]): Promise<Omit<Drawn, 'keyIds'>> {
    const asked = { peer, ids: [...keyIds] };
    const { source, pad } = await had(client.POST('/api/chat/pads/keys', { body: asked }));
    return { source, pad: fromBase64Url(pad) };
  }

  async session(peer: string, session: string) {
    const asked = { peer, session };
    const { pad, record } = await had(client.POST('/api/chat/pads/session', { body: asked }));
    return { record, pad: pad === null ? null : fromBase64Url(pad) };
  }
}

async function had<T>(asked: Promise<Answer<T>>): Promise<T> {
  try {
    return await body(asked);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const never = error.status === 404 || error.status === 400 || error.status === 403;
    throw never ? new KeysGone(error.message) : new KeysAbsent(error.message);
  }
}
