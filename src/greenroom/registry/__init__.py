"""Image lookup: existence and digest, by the OCI distribution API over HTTP, read only."""
