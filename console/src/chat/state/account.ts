/** What is kept of a handle of our own. The token stands sealed in the vault; a password is not kept. */

import type { AccountSession, Visibility } from '../protocol/accounts';
import { added, again, change } from './talk';
import type { Vault } from './vault';

const ACCOUNT = 'account';
const OWN = 'own';

export interface KeptAccount {
  readonly handle: string;
  /** Of this browser; null: logged out. Secret. */
  readonly session: AccountSession | null;
  /** Whether it is of this browser's identity, so that who asks for it finds us. */
  readonly isOurs: boolean;
  /** Who finds it, as chosen here last; null: not known here. */
  readonly visibility: Visibility | null;
}

export async function keptAccount(vault: Vault): Promise<KeptAccount | null> {
  return (await vault.read<KeptAccount>(ACCOUNT, OWN))?.value ?? null;
}

/** Keep it so; null: we have none. */
export function keepAccount(vault: Vault, account: KeptAccount | null): Promise<void> {
  return again(async () => {
    const found = await vault.read<KeptAccount>(ACCOUNT, OWN);
    if (found) await vault.commit([change(ACCOUNT, found, account)]);
    else if (account) await vault.commit([added(ACCOUNT, OWN, account)]);
  });
}
