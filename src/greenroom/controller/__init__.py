"""The loop: gather facts, let `core` decide, perform the actions, and report. It makes no decisions."""
