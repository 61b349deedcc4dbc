"""The rules of Greenroom, pure: standard library only, no I/O, no clock, no randomness, no logging.

`desired.desired` turns facts into a verdict for every pull request. `plan.plan` compares the verdicts with what exists
and returns actions, each with its reason. Nothing in here knows which engine runs.
"""
