"""How large a block may be, and how long a link: one place for settings, messages and engines."""

MAX_PULSES = 2**27
"""Most pulses, or pairs, of one block, whoever asks for it: the finite-key bounds are proved for so
many, a key of so many bits is the longest that kernels take, and a slot fits four bytes."""

MAX_DETECTIONS = 2**24
"""Most detections of one half: it fits a frame of the link, and a node distils it in about 1 GB.

A block's work and memory grow with these, not with its pulses. How many there will be follows from
the link's losses, so it is the link that refuses a block which could mean more.
"""

MAX_IN_FLIGHT = 16
"""Most blocks of one connection that may be under way at once; each has its own memory."""

MAX_FIBRE_KM = 1000.0
MAX_LOSS_DB_PER_KM = 10.0
MAX_INSERTION_LOSS_DB = 60.0
"""Far beyond what photons cross: a larger value is a slip of the unit."""
