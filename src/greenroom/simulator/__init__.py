"""Simulation of the GitHub API that Greenroom uses: over HTTP, stateful, with its own clock and with faults on demand.

It does not use Greenroom's core: it is an independent model of how GitHub behaves. The tests check it against GitHub's
own OpenAPI description and GraphQL schema, and with third-party clients. It is for the demo and the tests only.
"""
