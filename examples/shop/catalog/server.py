"""The catalog service: products from PostgreSQL, through a cache if there is one, as JSON and as a page; orders."""

import html
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from database import connect
from stores import Orders, cached, forget

RELEASE = (Path(__file__).parent / "release.txt").read_text().strip()


def products() -> list[dict]:
    database = connect()
    try:
        rows = database.run("SELECT id, name, cents, stock FROM products ORDER BY id")
    finally:
        database.close()
    return [{"id": r[0], "name": r[1], "cents": r[2], "stock": r[3]} for r in rows]


def add(name: str, cents: int) -> None:
    database = connect()
    try:
        database.run("INSERT INTO products (name, cents) VALUES (:name, :cents)", name=name, cents=cents)
    finally:
        database.close()


def count(table: str) -> int:
    database = connect()
    try:
        return database.run(f"SELECT count(*) FROM {table}")[0][0]
    finally:
        database.close()


def page() -> str:
    shown, cache = cached(products)
    rows = "".join(f"<tr><td>{html.escape(p['name'])}<td>{p['cents'] / 100:.2f}<td>{p['stock']}" for p in shown)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Catalog</title>"
        f"<h1>Catalog, release {html.escape(RELEASE)}</h1><table><tr><th>Product<th>Price<th>Stock{rows}</table>"
        f"<p>Cache: {cache}"
    )


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/healthz":
                self._send({"ok": bool(products())})
            case "/products":
                shown, cache = cached(products)
                self._send({"release": RELEASE, "products": shown, "cache": cache})
            case "/orders":
                self._send({"orders": count("orders"), "reports": count("reports")})
            case "/":
                self._send(page())
            case _:
                self._send({"error": "not found"}, 404)

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/orders" and "CLOUDAMQP_URL" not in os.environ:
            self._send({"error": "there is no queue here"}, 503)
            return
        if self.path == "/orders" and sent["product"] not in {p["id"] for p in products()}:
            self._send({"error": "there is no such product"}, 404)
            return
        if self.path == "/orders":
            Orders().put(int(sent["product"]))
            self._send({"ordered": sent["product"]}, 202)
            return
        add(str(sent["name"]), int(sent["cents"]))
        forget()
        self._send({"added": sent["name"]}, 201)

    def _send(self, answer: object, status: int = 200) -> None:
        page_text = isinstance(answer, str)
        body = (answer if page_text else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("content-type", "text/html; charset=utf-8" if page_text else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # The first process of a container gets no default handler: without this it would be killed after its grace period.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Answers).serve_forever()
