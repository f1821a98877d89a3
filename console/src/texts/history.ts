/** Every sentence of a history that goes from one device of ours to another. */
export const history = {
  title: 'Another device',
  give: 'Export history …',
  take: 'Import history …',

  giveLead:
    'What was said between two, your notes and whom you know, in a file that only its code opens. No key is in it: another browser, or a terminal, stays somebody of its own.',
  giveSubmit: 'Make the file',
  giveAgain: 'The code is shown once: close this, and nobody reads the file without it.',
  code: 'Its code',
  given: (messages: string, people: string) =>
    `${messages} messages and ${people} people are in the file; marks of verified people stay here.`,
  attachments: (many: string) =>
    `${many} of them are attachments: their names go along, the files do not.`,
  notSent: (many: string) => `${many} were not sent yet, and stay on this device.`,
  unknown: (many: string) =>
    `${many} people and what was said with them stay here: an earlier version did not keep their keys.`,
  way: 'Give the code by another way than the file, and delete the file once it was imported.',

  takeLead:
    'A file of `bellwire chat history export`, or of another browser, and its code. All of it is taken, or nothing; what is here already stays as it is.',
  file: 'The file',
  choose: 'Choose it …',
  takeSubmit: 'Import',
  taken: (messages: string, people: string) =>
    `${messages} messages and ${people} people are new here.`,
  takenAttachments: (many: string) =>
    `${many} of them are attachments: their files stayed on the other device.`,
  known: (many: string) => `${many} were here already.`,
  expired: (many: string) => `${many} had disappeared since.`,
  leftOut: (many: string) =>
    `${many} were left out: said with this browser, in groups, or with who waits here to be accepted.`,
  anew: 'Nobody new is verified or can be written to: exchange links with them.',

  elsewhere: 'on another device',
  forget: 'Forget here',
  notMet: (name: string) =>
    `What is here was said on another device. To write to ${name} from this browser, exchange contact links, and compare safety numbers anew.`,
} as const;
