/** Every sentence of what we call somebody; loaded with the page Chat. */
export const known = {
  rename: 'Rename …',
  renameTitle: (name: string) => `Rename ${name}`,
  renameLead: 'You alone see this name: they do not learn of it.',
  name: 'What you call them',
  submit: 'Rename',
} as const;
