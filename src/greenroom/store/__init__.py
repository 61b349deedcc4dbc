"""History of previews, append-only. Reports and people read it; decisions never do."""
