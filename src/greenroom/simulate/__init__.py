"""`greenroom simulate`: a simulated GitHub and registry for git checkouts on this machine.

Branches and commits are real. Everything else that GitHub and CI would provide is simulated. Nothing leaves this
machine.
"""

from greenroom.simulate.run import simulate

__all__ = ["simulate"]
