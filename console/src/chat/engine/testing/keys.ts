/** Two key servers with one link between them, in memory; for tests. */

import type { Bytes } from '../../protocol/bytes';
import { join } from '../../protocol/bytes';
import type { SessionRecord } from '../../state/talk';
import { type KeySource, KeysAbsent, KeysGone, type Made } from '../keys';

const KEY_BYTES = 256;

interface Session extends Made {
  readonly by: string;
  readonly to: string;
}

export class ModelLink {
  /** Keys that were drawn, and not fetched. */
  readonly given = new Map<string, { by: string; to: string; key: Bytes }>();
  /** Sessions that were made; their pads until they are fetched. */
  readonly sessions = new Map<string, Session>();
  isAway = false;
  /** Whether sessions are aborted. */
  isEveThere = false;
  isRed = false;
  /** Whether the next pad is fetched by nobody any more. */
  losesNext = false;
  /** Awaited with the mark of each session, before it ends. */
  whileMaking: (mark: string) => Promise<void> = async () => {};
  private number = 0;

  /** The key server of a site, to one of its SAEs. */
  at(sae: string): KeySource {
    return {
      sae,
      draw: async (peer, least) => {
        if (this.isAway) throw new KeysAbsent('it is away');
        const many = Math.ceil(Math.max(1024, least) / KEY_BYTES);
        const keys = Array.from({ length: many }, () => {
          this.number += 1;
          return { id: `key-${this.number}`, key: drawn() };
        });
        if (!this.losesNext)
          for (const { id, key } of keys) this.given.set(id, { by: sae, to: peer, key });
        this.losesNext = false;
        const pad = join(...keys.map(({ key }) => key));
        return { source: 'simulated', keyIds: keys.map(({ id }) => id), pad };
      },
      fetch: async (peer, ids) => {
        if (this.isAway) throw new KeysAbsent('it is away');
        const found = ids.map((id) => {
          const given = this.given.get(id);
          if (given?.by !== peer || given.to !== sae) throw new KeysGone('no such key');
          this.given.delete(id);
          return given.key;
        });
        return { source: 'simulated', pad: join(...found) };
      },
      make: async (peer, bytes, mark) => {
        await this.whileMaking(mark);
        if (this.isAway) throw new KeysAbsent('it is away');
        const pad = this.isEveThere ? null : crypto.getRandomValues(new Uint8Array(bytes));
        const session = crypto.randomUUID();
        const record = recordOf(session, sae, peer, bytes, this.isEveThere);
        const made = { session, record, pad, by: sae, to: peer };
        if (!this.losesNext) this.sessions.set(session, { ...made, pad: pad?.slice() ?? null });
        this.losesNext = false;
        return made;
      },
      isRed: async () => this.isRed,
      session: async (peer, session) => {
        if (this.isAway) throw new KeysAbsent('it is away');
        const found = this.sessions.get(session);
        if (found?.by !== peer || found.to !== sae) throw new KeysGone('no such session');
        if (found.pad) this.sessions.delete(session);
        return found;
      },
    };
  }
}

const drawn = (): Bytes => crypto.getRandomValues(new Uint8Array(KEY_BYTES));

function recordOf(
  session: string,
  master: string,
  slave: string,
  bytes: number,
  isAborted: boolean,
): SessionRecord {
  return {
    session,
    master,
    slave,
    source: 'simulated',
    began_at: 1e9,
    verdict: isAborted ? 'abort' : 'accept',
    reason: isAborted ? 'chsh below limit' : null,
    message: null,
    pairs: 150_000,
    coincidences: 150_000,
    sifted_bits: 33_000,
    test_pairs: 100_000,
    s: isAborted ? 1.36 : 2.72,
    s_stderr: 0.011,
    s_lower: isAborted ? 1.3 : 2.68,
    qber: isAborted ? 0.14 : 0.02,
    qber_stderr: 0.001,
    leaked_bits: isAborted ? 0 : 7000,
    verification_bits: isAborted ? 0 : 128,
    final_bits: isAborted ? 0 : 8 * bytes,
    epsilon: isAborted ? null : 1e-10,
    public_bytes: 98_000,
    steps: [{ step: 'opening', ms: 1 }],
    total_ms: 50,
  };
}
