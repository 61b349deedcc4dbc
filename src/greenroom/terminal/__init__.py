"""Client of a running instance for the command line: one call to its admin port, and plain text for 80 columns."""
