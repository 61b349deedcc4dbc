"""The production engine: Argo CD applies; Greenroom decides, serves specs, watches, removes and proves."""
