/** Every sentence of the page Devices, which are loaded with it. */
export const devices = {
  title: 'Devices',
  lead: 'Who may join this site, on what evidence, and what its devices say.',

  noCloud: 'No cloud runs at this site',
  noCloudWhat:
    'A cloud takes the readings of devices. `bellwire up` starts one; `bellwire cloud` does by itself.',
  noAdmission: 'No server of admission runs at this site',
  noAdmissionWhat:
    'Newcomers register at one. `bellwire up` starts one; `bellwire admission run` does by itself.',

  fleet: 'Fleet',
  fleetOf: (connected: string, total: string) => `${connected} of ${total} connected`,
  search: 'Search by name or fingerprint',
  nobody: 'No device has enrolled yet. Invite one: it enrols itself by a one-time code.',
  notFound: 'No device of that name.',
  more: (shown: string, found: string) => `The first ${shown} of ${found}: search for others.`,
  connected: 'connected',
  never: 'never seen',
  ago: (time: string) => `${time} ago`,
  transports: { tcp: 'TCP', udp: 'UDP', mqtt: 'MQTT' },
  shield: { none: 'no session yet', quantum: 'quantum key', lattice: 'post-quantum' },

  session: 'Protection of the session',
  lastSession: 'Protection of its last session',
  noSession: 'It had no session since the cloud started.',
  hybrid: 'X25519 and ML-KEM-768 together',
  hybridWhat: 'The session holds while either of the two holds.',
  quantum: (count: string) => `Quantum keys mixed in: ${count}`,
  quantumWhat: (source: string) =>
    `The latest is of source ${source}. While one of them is secret, the session is.`,
  noQuantum: 'No quantum key in this session',
  noQuantumWhat: 'The node gave none to device and cloud when they met.',
  began: 'Began',
  carrier: 'Carried by',
  cipher: 'Cipher',
  refreshes: 'Fresh keys since',
  resumed: 'Sessions before it in its keys',
  fingerprint: 'Fingerprint',
  waiting: 'Messages that wait for it',
  arrived: 'Readings since the cloud started',
  unlisted:
    'It is not on the cloud’s list: it comes by a certificate, or came before it was removed.',

  readings: 'Last readings',
  noReadings: 'The cloud has no readings of it.',
  chartOf: (name: string, low: string, high: string, last: string) =>
    `${name}: from ${low} to ${high}, latest ${last}`,

  remove: 'Remove',
  removeTitle: (name: string) => `Remove ${name}`,
  removeWhat:
    'Its session ends within seconds and it cannot come back by its key; what it has sent stays. It needs another invitation to join again.',
  removeConfirm: (name: string) => `Type ${name} to remove it`,
  removed: (name: string) => `${name} may not come any more.`,

  invite: 'Invite a device',
  inviteLead: 'Who has the code enrols one device, once. Then both know each other’s keys.',
  name: 'What to call it',
  minutes: 'The code is good for',
  lives: { '60': 'an hour', '1440': 'a day', '10080': 'a week' },
  makeCode: 'Make a code',
  codeTitle: (name: string) => `Code for ${name}`,
  codeWhat: 'It is shown this once, and kept nowhere. Type it or scan it.',
  code: 'Code',
  qr: 'The code, to be scanned',
  onDevice: 'On the device',
  another: 'Invite another',
  invitations: 'Invitations',
  until: (time: string) => `good for ${time}`,
  takeBack: 'Take back',

  door: 'Admission',
  tabs: {
    waiting: (count: string) => `Waiting ${count}`,
    known: (count: string) => `Registered ${count}`,
    away: (count: string) => `Turned away ${count}`,
  },
  tabsLabel: 'Which newcomers',
  gates: {
    token: 'A good verdict and a one-time token let in.',
    operator: 'A good verdict lets nobody in by itself: you decide.',
    either: 'A good verdict lets in by a one-time token; without one, you decide.',
    open: 'A good verdict lets in at once: this is for the lab.',
  } as Record<string, string>,
  noneWaiting: 'Nobody waits.',
  noneKnown:
    'Nobody has registered yet: the page Register a name does it, or `bellwire register NAME`.',
  noneAway: 'Nobody was turned away since the server started.',
  waitsFor: (time: string) => `waits for ${time}`,
  standing: {
    waiting: 'waits',
    admitted: 'admitted',
    refused: 'refused',
    revoked: 'revoked',
  } as Record<string, string>,
  by: { token: 'by a token', open: 'by the open door', operator: 'by an operator' } as Record<
    string,
    string
  >,
  chooseNewcomer: 'Choose a name to see what is known of it.',

  secure: 'Nothing speaks against it',
  insecure: 'Turned away by the verdict',
  judged: (assessor: string) => `Judged by ${assessor}.`,
  local: 'this server’s own rules',
  gate: 'A verdict is a filter and no gate: whoever controls a connection can make it fit.',
  claimed: 'Claimed',
  measured: 'Measured',
  evidence: 'Evidence',
  ping: 'Ping',
  jitter: 'Jitter',
  address: 'Address',
  colour: 'Colour',
  colourWhat: 'The colour is decoration: the first three bytes of a hash of the address.',
  echoes: (count: string) => `Measured over ${count} timed echoes.`,
  noEvidence:
    'The server keeps evidence in memory alone, and has not seen this newcomer since it started. It is seen again when it registers again.',
  circuit: 'Circuit',
  circuitWhat:
    'Ping, jitter and the halves of the address turn four wires; a chain of CNOTs follows. It is a map of those numbers, and proves nothing about who sends them.',
  wires: ['ping', 'jitter', 'address, first half', 'address, second half'],
  circuitOf: (turns: string) =>
    `Circuit of four wires. ${turns}. Then CNOTs from wire 0 to 1, 1 to 2 and 2 to 3, and all four are measured.`,
  turn: (wire: number, name: string, angle: string) =>
    `Wire ${wire}, ${name}: RY by ${angle} radians`,
  outcomes: 'Probabilities of the sixteen outcomes',
  outcomesOf: (claimed: string, measured: string) =>
    `Probabilities of the sixteen outcomes. Likeliest as claimed: ${claimed}; as measured: ${measured}`,
  distance: (value: string) => `Claim and measurement differ by ${value}, of 0 to 1.`,
  keys: 'Keys, proven to be its own',
  inRecord: (number: string) => `Entry ${number} of the record`,

  approve: 'Approve',
  refuse: 'Refuse',
  revoke: 'Revoke',
  revokeTitle: (name: string) => `Revoke ${name}`,
  revokeWhat:
    'Its certificates are revoked and the record says so for ever. The name stays taken: nobody else can have it.',
  revokeConfirm: (name: string) => `Type ${name} to revoke it`,
  decided: {
    admit: (name: string) => `${name} is admitted.`,
    refuse: (name: string) => `${name} is refused; the name is free again.`,
    revoke: (name: string) => `${name} is revoked.`,
  },
  cancel: 'Cancel',

  messages: 'Messages to devices',
  messagesNone: 'No message was queued: `bellwire cloud send NAME --text WORDS` queues one.',
  routes: { QUEUED: 'queued', DELIVERED: 'delivered', EXPIRED: 'expired' },
  message: 'Message',
  to: 'To',
  size: 'Bytes',
  state: 'State',
  queuedAt: 'Queued',
} as const;
