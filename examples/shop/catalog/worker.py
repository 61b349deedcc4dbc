"""The catalog's worker: keeps the average price up to date, once a second."""

import signal
import sys
import time

from database import connect
from pg8000.native import DatabaseError

QUERY = """
INSERT INTO price_index (average_cents, runs) SELECT coalesce(avg(cents), 0)::integer, 1 FROM products
ON CONFLICT (only_one) DO UPDATE SET average_cents = excluded.average_cents, runs = price_index.runs + 1
"""

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    database = connect()
    while True:
        try:
            database.run(QUERY)
        except DatabaseError as error:  # the web process may still be migrating
            print(f"not yet: {error}", file=sys.stderr, flush=True)
        time.sleep(1)
