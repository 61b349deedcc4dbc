"""The loop: gather facts, let `core` decide, perform the actions, tell people. It decides nothing itself."""
