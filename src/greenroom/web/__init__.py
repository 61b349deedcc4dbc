"""What listens: the webhook, the dashboard, the admin port, the metrics. ASGI applications only; sockets are wire's."""
