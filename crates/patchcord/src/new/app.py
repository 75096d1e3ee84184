"""A menu for callers: Patchcord asks this program what to do, and it answers with documents.

Needs only Python's standard library: python3 app.py. PORT sets a port other than 8100.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

FOLDER = Path(__file__).parent


def answer(path, params):
    """The document for a request. `params` are those of the call: From, To, CallSid, Digits and so on."""
    if path == "/menu":
        return "menu.xml"
    if path == "/choice":
        return {"1": "sales.xml", "2": "hours.xml"}.get(params.get("Digits"), "unknown.xml")
    if path == "/after":
        return "goodbye.xml" if params.get("DialCallStatus") == "completed" else "nobody.xml"
    return None


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.respond(urlsplit(self.path).query)

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        self.respond(self.rfile.read(length).decode())

    def respond(self, form):
        name = answer(urlsplit(self.path).path, dict(parse_qsl(form)))
        body = (FOLDER / name).read_bytes() if name else b"Not found.\n"
        self.send_response(200 if name else 404)
        self.send_header("Content-Type", "text/xml" if name else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8100"))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        sys.exit(f"port {port} cannot be used ({error.strerror}): stop what uses it, or set PORT={port + 1}"
                 " and write that number in app.test.yaml too")
    with server:
        print(f"http://127.0.0.1:{port}/menu", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
