"""ASGI applications of the webhook, the dashboard, the admin port and the metrics.

`greenroom.bootstrap` opens the sockets.
"""
