"""The experiments as circuits of qubits: a second, independent way to the same photons.

`model` says what a circuit is, `protocols` writes down the circuits of every protocol and attack,
`halves` lets any sampler of circuits play the link. `as_qiskit` and `as_figure` translate and draw;
`on_aer`, `on_backend` and `on_pennylane` run them. Only these need libraries that the core install
leaves out, and only they are imported late.
"""
