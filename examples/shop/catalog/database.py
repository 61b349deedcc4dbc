"""The connection that DATABASE_URL names. The driver is pg8000 (see requirements.txt)."""

import os
from urllib.parse import urlsplit

import pg8000.native


def connect() -> pg8000.native.Connection:
    url = urlsplit(os.environ["DATABASE_URL"])
    return pg8000.native.Connection(
        user=url.username, password=url.password, host=url.hostname, port=url.port, database=url.path.lstrip("/")
    )
