"""History: what happened, append-only. Reports and people read it; no decision does."""
