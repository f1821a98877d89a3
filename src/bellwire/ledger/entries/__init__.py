"""What the log records, and how an entry is written: spec/ledger.md."""
