"""The demo: a simulated GitHub and registry, a real shop in real git repositories, a real `greenroom serve` beside it.

Every step is judged from outside: HTTP, GitHub's state, processes, the database. Never by Greenroom's own word.
"""

from greenroom.demo.play import Options, play

__all__ = ["Options", "play"]
