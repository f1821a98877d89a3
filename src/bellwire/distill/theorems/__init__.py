"""How much key, by which theorem: a module for each, named by its first author and its year.

| module | what it bounds | against |
|---|---|---|
| `tomamichel_2012` | BB84 of single photons, finite | any attack |
| `tomamichel_leverrier_2017` | BBM92: pairs, or qubits, finite | any attack |
| `lim_2014` | BB84 with two decoys, finite | any attack |
| `rusca_2018` | BB84 with one decoy, finite | any attack |
| `acin_2007` | E91 of devices that nobody trusts, endless | collective attacks |
| `dupuis_fawzi_2019` | smooth entropy of many rounds (entropy accumulation) | any attack |
| `arnon_friedman_2018` | key of devices that nobody trusts, finite, by it | any attack |

What a block of ours is shortened by is not here but in `bellwire.distill.bounds` (Hoeffding,
Serfling, leftover hashing) and `bellwire.distill.estimation` (`conjugate_phase_errors`: the
uncertainty relation with the other basis's sample; `e91_phase_errors`: E91's phase errors from its
own correlations). docs/explanation/theorems.md says which block rests on what.

All lengths are in bits, all rates per bit or round; an ε is a probability of failure or a distance.
Counts may be expectations, so they need not be whole. A function that is given what cannot be
raises `ParameterError`; one that is given too little to prove anything gives 0.
"""
