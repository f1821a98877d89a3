"""What the two KMEs of a link tell each other: grants, ages, where their pools stand.

`spec/kme-peering.md` is the format. `messages` are its words, `line` seals them, `session` says
what follows from each; who moves bytes is not here.
"""
