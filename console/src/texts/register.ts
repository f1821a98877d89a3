/** Every sentence of the page on which somebody registers, which are loaded with it. */
export const register = {
  title: 'Register a name',
  lead: 'Keys are made in this browser, proven to the site’s server of admission, and saved for you. No private key is sent anywhere.',
  absent: 'No server of admission runs at this site',
  absentWhat: '`bellwire up` starts one; `bellwire admission run` does by itself.',

  form: 'Who registers',
  server: (name: string) => `With the server ${name}.`,
  gates: {
    token: 'It lets in by a one-time token alone: ask its operator for one.',
    operator: 'Its operator decides about everybody.',
    either: 'A one-time token lets in at once; without one, its operator decides.',
    open: 'It lets everybody in: this is for the lab.',
  } as Record<string, string>,
  name: 'Name',
  nameWhat:
    'A pseudonym of 3 to 32 letters, digits, - and _. It is public, and a log keeps it and its public keys for ever.',
  notAName: 'A letter first, then 2 to 31 of a-z, 0-9, - and _.',
  token: 'Invitation (one-time token)',
  tokenWhat: 'If you were given one.',
  file: 'Keys that I have saved',
  fileChoose: 'Choose the file …',
  fileWhat: 'To see how it stands, or to renew a certificate: the file that was saved here.',
  fileTaken: (name: string) => `The keys of ${name}.`,
  fileLeft: 'Leave the file out',
  notAFile: 'This is no file of keys that was saved here.',
  submit: 'Make keys and register',
  again: 'Register with these keys',
  working: 'Proving each key, and letting the connection be timed…',

  state: 'How it stands',
  nothing: 'Nothing is registered from here yet.',
  steps: [
    'Five keys are made here: Ed25519, P-256, ML-DSA-44, ML-DSA-65 and ML-KEM-768.',
    'They are saved as a file before anybody sees their public halves.',
    'Each is proven to the server by a challenge, and 24 echoes are timed.',
    'A token, or an operator, lets you in; then you get a certificate.',
  ],
  standing: {
    admitted: (name: string) => `${name} is admitted`,
    waiting: (name: string) => `${name} waits`,
    refused: (name: string) => `${name} is refused`,
    revoked: (name: string) => `${name} is revoked`,
  },
  waitingWhat:
    'An operator decides on the page Devices. Ask again here, or come back with the file of keys.',
  askAgain: 'Ask again',
  refused: 'The server says no',
  saved: (file: string) =>
    `The keys are in ${file}, in the folder of your downloads, and nowhere else. They are not encrypted: keep the file where only you can read it.`,
  save: 'Save the keys again',
  saveAll: 'Save keys and certificate',
  certificate: 'Certificate',
  forSae: (sae: string, until: string) => `for ${sae}, until ${until}`,
  use: 'Unpacked into `registered` of a state folder, the file is what `bellwire register` makes: the command renews the certificate, and keys are asked for with it.',
  noCertificate: 'The server signs no certificates.',
  inRecord: 'Look for it in the record',

  program: 'What only the program does',
  programWhat: [
    'A device makes its own key on the device, where it stays: `bellwire device enroll --at URL --name NAME --token FILE` there, with a token from the operator. A key that was made here and carried over would have been in two places.',
    'Registering the identity of a chat (`--as`), and keeping the receipt of the log checked against a policy of your own (`--log-policy`), is for `bellwire register`.',
    'Ping and jitter are those of your way to this console, which carries each step and tells the server your address.',
  ],
} as const;
