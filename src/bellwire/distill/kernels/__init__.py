"""Inner loops of distillation: arrays in, arrays out; sizes are checked by the callers."""
