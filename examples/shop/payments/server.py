"""The payments service: which ways to pay there are. No database."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

METHODS = [{"id": "card", "name": "Card"}, {"id": "invoice", "name": "Invoice"}, {"id": "gift", "name": "Gift card"}]
RELEASE = (Path(__file__).parent / "release.txt").read_text().strip()


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = {"/healthz": {"ok": True}, "/methods": METHODS, "/": {"service": "payments", "release": RELEASE}}
        body = json.dumps(known.get(self.path, {"error": "not found"})).encode()
        self.send_response(200 if self.path in known else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # The first process of a container gets no default handler: without this it would be killed after its grace period.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Answers).serve_forever()
