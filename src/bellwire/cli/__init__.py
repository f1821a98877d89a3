"""The command line: a module per command, which translates and decides nothing."""
