"""The catalog's worker: keeps the average price up to date, once a second."""

import time

from database import connect

QUERY = """
INSERT INTO price_index (average_cents, runs) SELECT coalesce(avg(cents), 0)::integer, 1 FROM products
ON CONFLICT (only_one) DO UPDATE SET average_cents = excluded.average_cents, runs = price_index.runs + 1
"""

if __name__ == "__main__":
    database = connect()
    while True:
        database.run(QUERY)
        time.sleep(1)
