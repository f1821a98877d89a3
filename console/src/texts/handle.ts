/** Every sentence of a handle of one's own, and of those who write first; loaded with the page Chat. */
export const handle = {
  mine: 'My handle',
  lead: 'A name at the relay by which people find you who have no link of yours. It serves this browser: who asks for it gets this browser’s keys.',
  haveOne: 'I have a handle already',
  haveNone: 'I want a new handle',
  label: 'Handle',
  hint: '3 to 32 letters a to z, digits, - and _, a letter first. It is yours for good.',
  password: 'Password',
  passwordHint:
    'At least 12 characters, better several words drawn at random. It does not leave this browser, and nobody can give you another.',
  repeat: 'Password again',
  invitation: 'Invitation',
  invitationHint: 'Only if the relay’s operator gave you one.',
  signUp: 'Sign up',
  logIn: 'Log in',
  works: 'Keys are made from the password: this takes some seconds.',
  differs: 'The two passwords differ.',
  unfit: 'A password has at least 12 characters, and at most 1,024 bytes.',
  invitationMalformed: 'An invitation has 32 digits, 0 to 9 and a to f.',
  out: (handle: string) =>
    `You are logged out of @${handle}, and nobody finds you by it. It is yours still: log in again.`,

  state: {
    waits: (handle: string) => `Keys for who looks for @${handle} are on their way to the relay …`,
    there: (handle: string) => `Who looks for @${handle} finds this browser.`,
    other: (handle: string) =>
      `Who looks for @${handle} finds another device, where you signed up. Here you can look after the account.`,
    failed: (handle: string, why: string) => `Nobody finds @${handle} now. ${why}`,
  },
  finds: 'Who finds you',
  unknown: 'As you chose elsewhere',
  visibility: {
    1: 'Who knows the whole handle',
    2: 'Everybody: searches list it',
    0: 'Nobody',
  } as Readonly<Record<number, string>>,

  setPassword: 'Change the password',
  forgot: 'I forgot the password',
  setPasswordLead: 'You are logged out everywhere else then.',
  byIdentity:
    'This browser’s keys prove that it is you, if you signed up here. Everywhere else you are logged out.',
  forgotten: 'I forgot the old one',
  remembered: 'By the old one',
  old: 'Old password',
  next: 'New password',
  nextRepeat: 'New password again',
  set: 'Set password',
  isSet: 'The password is set.',

  devices: 'Devices',
  devicesLead:
    'Where you are logged in. Who finds you by the handle finds one of them alone: that which publishes its keys.',
  isThis: 'this browser',
  publishes: 'found by the handle',
  deviceTimes: (since: string, used: string, expires: string) =>
    `since ${since} · last used about ${used} · ends ${expires} if it stays silent`,
  nameDevice: (name: string) => `Rename ${name}`,
  deviceName: 'What it is called',
  deviceSet: 'Set name',
  endDevice: (name: string) => `Log out ${name}`,

  export: 'What the relay keeps',
  exportLead:
    'Handle, public keys, devices, and the keys that wait for who writes first, as JSON. No message is in it, and no secret key: the relay has neither.',
  exportSubmit: 'Save as a file',

  end: 'Log out',
  endLead: 'Then nobody finds you by the handle until you log in again. What was said stays.',
  endEverywhere: 'Log out everywhere',

  box: 'Unwanted messages',
  boxLead:
    'Who looks for you is given a mailbox for strangers. If rubbish comes there, draw another: what goes to those before it is lost.',
  boxDraw: 'Draw another mailbox',
  boxDrawn: 'Strangers are given another mailbox now.',
  rubbish: (count: string) => `${count} that came there since this page was opened was not taken.`,
  blocked: 'Blocked',
  unblock: (name: string) => `Hear ${name} again`,

  delete: 'Delete the account',
  deleteLead: (handle: string) =>
    `The relay forgets the account, and nobody finds you by it. @${handle}, and all that look like it, serve nobody again, not even you.`,
  deleteSubmit: (handle: string) => `Delete @${handle}`,

  requests: 'Want to write to you',
  named: (name: string) => `“${name}”`,
  asks: (name: string) => `“${name}” wants to write to you`,
  asked:
    'They found your handle. What they call themselves is their own word; nobody has verified it. They do not learn that you are there until you accept.',
  like: 'You have a contact of this name: this is somebody else, with another identity.',
  since: (when: string) => `Since ${when}`,
  wordless: 'They have not said anything yet.',
  safety: 'Safety number',
  safetyLead: 'If you know them, compare it by another way before you believe who they are.',
  accept: 'Accept',
  decline: 'Decline',
  block: 'Block',
  declineHint: 'Decline forgets them; they may write again.',
  blockHint: 'Block hears this identity no more. They are told neither.',
  request: 'Somebody wants to write to you',
} as const;
