"""Translation between GitHub and core values. It makes no decisions, and no read is shorter than it should be."""
