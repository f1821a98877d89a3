/** Every sentence of what we call somebody, and of hearing them no more; loaded with the page Chat. */
export const known = {
  rename: 'Rename …',
  renameTitle: (name: string) => `Rename ${name}`,
  renameLead: 'You alone see this name: they do not learn of it.',
  name: 'What you call them',
  submit: 'Rename',

  block: 'Block …',
  blockTitle: (name: string) => `Block ${name}`,
  blockWhat: (name: string) =>
    `Nothing of ${name} comes here any more, not even in a group. The session and the pads of you both are destroyed, the mailbox for ${name} at your relay is closed, and what you wrote and has not left is never sent.`,
  blockStays:
    'What was said stays here to be read. They are not told; their program sees that the mailbox is gone. As another identity they can write to your handle, as any stranger.',
  blockSubmit: (name: string) => `Block ${name}`,

  blocked: (name: string) =>
    `You have blocked ${name}: nothing of theirs comes here, and nothing goes to them. What was said stays.`,
  unblock: (name: string) => `Hear ${name} again`,
  anew: (name: string) =>
    `There is no session with ${name} any more. To begin anew, exchange contact links, or let them write to your handle.`,
} as const;
