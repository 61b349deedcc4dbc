"""Translate between GitHub and core values. It decides nothing, and no read is ever shorter than it should be."""
