"""An HTTP provider for the tests: takes messages, and posts receipts and texts with signatures of its own making.

What it does with a message depends on its recipient:
  …22  accepted, then a receipt `undelivered`      …33  refused: `blocked`
  others accepted, then a receipt `delivered`

Writes a JSON line per event to the file in its first argument; reads lines of JSON from the file in its second one:
{"secret", "inbound"} first, then {"post": …} with what to post, and perhaps another `secret`.
"""

import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request

log, orders = sys.argv[1:]
lock = threading.Lock()
route = {}


def say(**event):
    with lock, open(log, "a") as file:
        file.write(json.dumps(event) + "\n")


def mark(secret, stamp, event, url, body):
    text = "\n".join([stamp, event, "POST", url, body])
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def post(what, secret):
    body, stamp, event = json.dumps(what), str(int(time.time())), os.urandom(8).hex()
    url = route["inbound"]
    headers = {
        "Content-Type": "application/json",
        "X-Patchcord-Event": event,
        "X-Patchcord-Signed-Url": url,
        "X-Patchcord-Signature": f"t={stamp},v1={mark(secret, stamp, event, url, body)}",
    }
    request = urllib.request.Request(url, body.encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        status, text = refused.code, refused.read().decode()
    say(event="posted", id=what.get("id"), status=status, answer=json.loads(text))


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        stamp, *marks = self.headers["X-Patchcord-Signature"].split(",")
        url, event = self.headers["X-Patchcord-Signed-Url"], self.headers["X-Patchcord-Event"]
        signed = "v1=" + mark(route["secret"], stamp.removeprefix("t="), event, url, body) in marks
        message = json.loads(body)
        refuses = message["to"].endswith("33")
        answer = {"error": "blocked", "reason": "a list"} if refuses else {"id": "p" + message["message"]}
        say(event="message", signed=signed, **message)
        text = json.dumps(answer).encode()
        self.send_response(403 if refuses else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        if not refuses:
            failed = message["to"].endswith("22")
            receipt = {"id": answer["id"], "status": "undelivered" if failed else "delivered"}
            if failed:
                receipt["error"] = "unknown-recipient"
            threading.Thread(target=post, args=(receipt, route["secret"])).start()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
say(event="ready", port=server.server_port)
done = 0
while True:
    lines = open(orders).read().splitlines() if os.path.exists(orders) else []
    for line in lines[done:]:
        done += 1
        order = json.loads(line)
        if "inbound" in order:
            route.update(order)
        else:
            post(order["post"], order.get("secret", route["secret"]))
    time.sleep(0.05)
