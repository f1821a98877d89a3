"""Where a log's entries, tiles and head rest."""
