"""From two halves to one secret: the protocol that Alice and Bob run over the classical channel."""
