"""A transparency log: entries that nobody can take back, and proofs that an outsider can check.

The formats are those of C2SP (tlog-tiles, signed-note, tlog-checkpoint, tlog-cosignature,
tlog-witness, tlog-proof), so that other people's tools read them. Nothing here opens a socket.
"""
