"""GitHub over HTTP, as far as Greenroom speaks to it: stateful, with its own clock, and with faults on demand.

It knows nothing of Greenroom's core: it is an independent opinion of how GitHub behaves, judged in the tests by
GitHub's own OpenAPI and GraphQL schema and by clients that nobody here wrote. For the demo and the tests only.
"""
