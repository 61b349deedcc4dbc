"""Does this image exist, and which digest? OCI distribution over HTTP, read only."""
