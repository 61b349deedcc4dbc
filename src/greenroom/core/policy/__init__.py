"""The rules: who may have a preview, for how long, with which images, and what confirms its removal."""
