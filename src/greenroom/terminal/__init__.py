"""What the command line says of a running instance: one call to its admin port, and plain text for 80 columns."""
