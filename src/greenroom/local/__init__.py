"""The embedded engine for demos and laptops: processes from a git worktree, a PostgreSQL server, one reverse proxy.

It runs the pull request's code as you (as `nobody` when you are root), on loopback, with an allow-listed environment.
"""
