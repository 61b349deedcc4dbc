"""Measurements: `make bench` runs all of them and prints the figures of the README. Never asserted in tests."""
