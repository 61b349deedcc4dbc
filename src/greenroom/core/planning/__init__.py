"""From facts to what should exist, and the actions that lead there."""
