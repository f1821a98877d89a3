import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { type Folder, pack } from '../../admission/archive';
import { makeKeys } from '../../admission/keys';
import { register } from '../../admission/register';
import { saveBlob } from '../../shared/save';

interface Asked {
  server: string;
  name: string;
  token: string | null;
  /** What was saved before; null has keys made. */
  folder: Folder | null;
}

export const fileOf = (name: string) => `${name}-keys.tar`;

export function saveFolder(folder: Folder, more: Readonly<Record<string, string>> = {}): void {
  saveBlob(fileOf(folder.name), new Blob([pack(folder, more)], { type: 'application/x-tar' }));
}

/** A registration under way; its keys are in the page's memory, and in the file that was saved. */
export function useRegistering() {
  const [folder, setFolder] = useState<Folder | null>(null);
  const ask = useMutation({
    mutationFn: async ({ server, name, token, folder: given }: Asked) => {
      let own = given;
      if (own === null) {
        own = { name, keys: await makeKeys() };
        // Saved before anybody sees a public half: an answer that is lost can be asked for again.
        saveFolder(own);
      }
      setFolder(own);
      return register(server, own.name, own.keys, token);
    },
    meta: { told: true },
    gcTime: 0,
  });
  return { folder, ask };
}

export type Registering = ReturnType<typeof useRegistering>;
