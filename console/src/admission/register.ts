/**
 * Registration, step by step, with the site's server of admission: the console carries each step and
 * says which address it has it from. Source: spec/admission.md, "Steps".
 */

import { body, client, type Schemas } from '../api/client';
import { fromBase64Url, toBase64 } from '../chat/protocol/base64';
import type { Bytes } from '../chat/protocol/bytes';
import { KINDS, type Kind, type OwnKeys, proofBy } from './keys';
import { type ByKind, transcript } from './possession';

const ECHOES = 24;

export type Registered = Schemas['Registered'];

/** The server is not the one that is meant, or asks for something else. */
export class OtherServer extends Error {
  override name = 'OtherServer';
}

/** A name in its one form, or null for what is none. */
export function canonical(name: string): string | null {
  const plain = name.trim().replace(/^@/, '').toLowerCase();
  return /^[a-z][a-z0-9_-]{2,31}$/.test(plain) ? plain : null;
}

/**
 * Register a name, or find out how it stands with it.
 *
 * @param server The name of the server that is meant: proofs are of no use to another.
 * @throws ApiError for a refusal; OtherServer.
 */
export async function register(
  server: string,
  name: string,
  keys: OwnKeys,
  token: string | null,
): Promise<Registered> {
  const known = Object.fromEntries(KINDS.map((kind) => [kind, keys[kind].publicKey]));
  const public_keys = inBase64(known);
  const asked = await body(
    client.POST('/api/register/challenge', { body: { username: name, public_keys } }),
  );
  const { challenge, username, ip_address } = asked;
  if (asked.server !== server || username !== name)
    throw new OtherServer(`expected a challenge of ${server} for ${name}, got another`);
  const nonce = fromBase64Url(asked.nonce);
  const ciphertexts = Object.fromEntries(
    Object.entries(asked.ciphertexts).map(([kind, each]) => [kind, fromBase64Url(each)]),
  );
  const seen = await measured(challenge, asked.word);
  const text = await transcript(server, name, known, nonce, ciphertexts);
  const proofs: Partial<Record<Kind, Bytes>> = {};
  for (const kind of KINDS) proofs[kind] = await proofBy(kind, keys[kind], text, ciphertexts[kind]);
  return body(
    client.POST('/api/register', {
      body: {
        ...{ username, public_keys, challenge, token },
        quantum_state: { ...seen, ip_address },
        proofs: inBase64(proofs as ByKind),
      },
    }),
  );
}

/** The shortest way there and back, and the median difference of two in succession, milliseconds. */
async function measured(challenge: string, first: string) {
  const times: number[] = [];
  let word = first;
  for (let echo = 0; echo < ECHOES; echo += 1) {
    const began = performance.now();
    ({ word } = await body(client.POST('/api/register/echo', { body: { challenge, word } })));
    times.push(performance.now() - began);
  }
  const steps = times.slice(1).map((time, at) => Math.abs(time - (times[at] ?? 0)));
  steps.sort((a, b) => a - b);
  const middle = steps.length >> 1;
  return { ping: Math.min(...times), jitter: steps[middle] ?? 0 };
}

function inBase64(given: ByKind): Record<string, string> {
  return Object.fromEntries(Object.entries(given).map(([kind, each]) => [kind, toBase64(each)]));
}
