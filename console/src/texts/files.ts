/** Every sentence about files in a conversation. */
export const files = {
  file: (name: string, size: string) => `${name}, ${size} bytes`,
  unread: 'a file whose name and size cannot be read',
  save: 'Save',
  cancel: 'Call it off',
  remove: 'Remove from this browser',
  progress: (name: string) => `How far ${name} has come`,
  preparing: (name: string) => `${name} is being sealed, to be sent …`,
  ours: {
    preparing: 'is being sealed',
    coming: (done: string, size: string) => `${done} of ${size} bytes are there`,
    whole: 'all of it is there',
    stopped: 'called off, or not taken by the other side',
    removed: '',
  },
  theirs: {
    preparing: '',
    coming: (done: string, size: string) => `${done} of ${size} bytes have come`,
    whole: 'all of it is here',
    stopped: 'called off, or not to be had',
    removed: 'removed from this browser',
  },
  chip: 'AES-256-GCM',
  chipPad: 'AES-256-GCM, key under pad',
  title: 'The file',
  what: 'It is larger than one message may be, and goes in chunks under AES-256-GCM, with a key of its own. That key alone was in this message, and had what protected it; the file itself is under no pad.',
} as const;
