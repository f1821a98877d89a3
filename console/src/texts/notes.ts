/** Every sentence of notes to ourselves, which are loaded with the page Chat. */
export const notes = {
  title: 'Notes to self',
  /** What else a search finds them by. */
  also: 'me',
  none: 'Only in this browser',
  lead: 'They stay in this browser, sealed: nothing of them is sent.',
  log: 'Notes',
  write: 'Write a note',
  keep: 'Keep',
  attach: 'Keep a file',
  timer: 'Notes disappear',
  after: (time: string) => `${time} after they were written`,
  disappears: (when: string) => `disappears ${when} after it was written`,
  takeBack: 'Delete',
  deleted: 'Deleted',
} as const;
