import type { Entry } from './queries';

/** The one thing that an entry is about; names that are there as commitments alone are left out. */
export function summary({ content, handle, writer }: Entry): string {
  const said = [handle, content.parties, content.status, content.reason, content.guard]
    .flat()
    .filter((each): each is string => typeof each === 'string' && !each.startsWith('#'));
  return said.length > 0 ? said.join(' · ') : writer;
}
