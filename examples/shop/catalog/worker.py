"""The catalog's worker: once a second it writes the orders that wait and brings the average price up to date."""

import os
import signal
import sys
import time

from database import connect
from pg8000.native import DatabaseError
from stores import Orders

QUERY = """
INSERT INTO price_index (average_cents, runs) SELECT coalesce(avg(cents), 0)::integer, 1 FROM products
ON CONFLICT (only_one) DO UPDATE SET average_cents = excluded.average_cents, runs = price_index.runs + 1
"""
# An order of a product that is not there any more is nothing; it would come back for ever.
ORDER = "INSERT INTO orders (product) SELECT id FROM products WHERE id = :id"

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    database = connect()
    orders = Orders() if "CLOUDAMQP_URL" in os.environ else None
    while True:
        try:
            database.run(QUERY)
            if orders:
                orders.each(lambda product: database.run(ORDER, id=product))
        except DatabaseError as error:  # the web process may still be migrating
            print(f"not yet: {error}", file=sys.stderr, flush=True)
        time.sleep(1)
