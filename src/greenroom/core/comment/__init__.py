"""The texts that people read about a preview: its status, and the comment on its pull request."""
