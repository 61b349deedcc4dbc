"""A stand-in for `greenroom serve` whose port another program takes at its first start. `taken_port.py FOLDER`."""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

HOLD = "import signal, socket; s = socket.create_server(('127.0.0.1', PORT)); print('held', flush=True); signal.pause()"


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    port = int(json.loads((folder / "greenroom.yaml").read_text())["listen"]["metrics"].rpartition(":")[2])
    with (folder / "tried").open("a") as tried:
        print(port, file=tried)
    if not (folder / "holder").exists():
        command = [sys.executable, "-c", HOLD.replace("PORT", str(port))]
        holder = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        (folder / "holder").write_text(str(holder.pid))
        sys.exit("the port is taken")
    HTTPServer(("127.0.0.1", port), Healthy).serve_forever()
