"""The storefront: one page, rendered here, from what catalog and payments answer."""

import html
import json
import os
import signal
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RELEASE = (Path(__file__).parent / "release.txt").read_text().strip()
STYLE = (
    "body{font:16px/1.5 system-ui;margin:2rem auto;max-width:44rem;padding:0 1rem;color-scheme:light dark}"
    "li{padding:.2rem 0}small{opacity:.7}"
)


def ask(variable: str, path: str) -> object:
    """What a service answers, or None when it is away."""
    try:
        with urllib.request.urlopen(os.environ.get(variable, "") + path, timeout=2) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


def page() -> str:
    found = ask("CATALOG_URL", "/products")
    methods = ask("PAYMENTS_URL", "/methods")
    if isinstance(found, dict):
        items = "".join(f"<li>{html.escape(p['name'])}: {p['cents'] / 100:.2f}" for p in found["products"])
    else:
        items = "<li>The catalog is away for a moment."
    pay = ", ".join(html.escape(m["name"]) for m in methods) if isinstance(methods, list) else "unknown for a moment"
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>The shop</title><style>{STYLE}</style><h1>The shop</h1><ul>{items}</ul>"
        f"<p>Ways to pay: {pay}.<p><small>storefront release {html.escape(RELEASE)}</small>"
    )


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"ok" if self.path == "/healthz" else page().encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # The first process of a container gets no default handler: without this it would be killed after its grace period.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Answers).serve_forever()
