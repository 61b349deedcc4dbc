"""The catalog service: products from PostgreSQL, as JSON and as a page."""

import html
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from database import connect

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


def page() -> str:
    rows = "".join(f"<tr><td>{html.escape(p['name'])}<td>{p['cents'] / 100:.2f}<td>{p['stock']}" for p in products())
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Catalog</title>"
        f"<h1>Catalog, release {html.escape(RELEASE)}</h1><table><tr><th>Product<th>Price<th>Stock{rows}</table>"
    )


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/healthz":
                self._send({"ok": bool(products())})
            case "/products":
                self._send({"release": RELEASE, "products": products()})
            case "/":
                self._send(page())
            case _:
                self._send({"error": "not found"}, 404)

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
        add(str(sent["name"]), int(sent["cents"]))
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
