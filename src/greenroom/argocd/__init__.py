"""The engine that people run in production: Argo CD applies, Greenroom decides, feeds, watches, removes and proves."""
