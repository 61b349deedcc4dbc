"""The rules of Greenroom, pure: standard library only, no I/O, no clock, no randomness, no logging.

Facts go into `desired.desired`, which says for every pull request what should be; `plan.plan` compares that with what
exists and returns actions, each with its reason. Nothing in here knows which engine runs.
"""
