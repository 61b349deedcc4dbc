"""Demo with a simulated GitHub and registry, a real shop in real git repositories, and a real `greenroom serve`.

The demo judges each step from outside, by HTTP, GitHub's state, processes and the database. It never relies on what
Greenroom reports about itself.
"""

from greenroom.demo.play import Options, play

__all__ = ["Options", "play"]
