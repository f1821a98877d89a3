const messagesOf = (many: string) => (many === '1' ? '1 message' : `${many} messages`);
const peopleOf = (many: string) => (many === '1' ? '1 person' : `${many} people`);

/** Every sentence of a history that goes from one device of ours to another. */
export const history = {
  title: 'Another device',
  give: 'Export history …',
  giveTitle: 'Export history',
  take: 'Import history …',
  takeTitle: 'Import history',

  giveLead:
    'What was said between two, your notes and whom you know, in a file that only its code opens. No key is in it: another browser, or a terminal, stays somebody of its own.',
  giveSubmit: 'Make the file',
  giveAgain: 'The code is shown once: close this, and nobody reads the file without it.',
  code: 'Its code',
  given: (messages: string, people: string) =>
    `In the file: ${messagesOf(messages)} and ${peopleOf(people)}. Marks of verified people stay here.`,
  attachments: (many: string) => `Attachments: ${many}. Their names go along, the files do not.`,
  notSent: (many: string) => `Not sent yet: ${many}. They stay on this device.`,
  unknown: (many: string) =>
    `Left here: ${peopleOf(many)} and what was said with them. An earlier version did not keep their keys.`,
  way: 'Give the code by another way than the file, and delete the file once it was imported.',

  takeLead:
    'A file of `bellwire chat history export`, or of another browser, and its code. All of it is taken, or nothing; what is here already stays as it is.',
  file: 'The file',
  choose: 'Choose it …',
  takeSubmit: 'Import',
  taken: (messages: string, people: string) =>
    `New here: ${messagesOf(messages)} and ${peopleOf(people)}.`,
  takenAttachments: (many: string) =>
    `Attachments: ${many}. Their files stayed on the other device.`,
  known: (many: string) => `Here already: ${many}.`,
  expired: (many: string) => `Disappeared since: ${many}.`,
  leftOut: (many: string) =>
    `Left out: ${many}, said with this browser, in groups, or with who waits here to be accepted.`,
  anew: 'Nobody new is verified or can be written to: exchange links with them.',

  elsewhere: 'on another device',
  forget: 'Forget here',
  notMet: (name: string) =>
    `What is here was said on another device. To write to ${name} from this browser, exchange contact links, and compare safety numbers anew.`,
} as const;
