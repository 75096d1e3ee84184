"""Plays the provider of the passenger's and the driver's phones, so that the example needs neither.

It takes the texts that Patchcord sends, as a message route of the kind `http`, and gives it those that are posted to /text.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

API = os.environ.get("API_URL", "http://127.0.0.1:8080")
ACCOUNT = os.environ["PATCHCORD_ADMIN_SID"]
TOKEN = os.environ["PATCHCORD_ADMIN_TOKEN"]
PORT = int(os.environ.get("PHONES_PORT", "8002"))
ROUTES = f"{API}/restcomm/2012-04-24/Accounts/{ACCOUNT}/MessageRoutes"
SECRET = secrets.token_hex(16)


def request(method, url, body=None, **headers):
    """Status and JSON of an answer, or of a refusal."""
    asked = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(asked) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        status, text = refused.code, refused.read()
    return status, json.loads(text or b"{}")


def api(method, url, **form):
    """A request with the account's credentials."""
    basic = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    body = urllib.parse.urlencode(form).encode() if form else None
    status, answer = request(method, url, body, Authorization=f"Basic {basic}")
    assert status < 300, f"{url}: {status} {answer}"
    return answer


def post(what):
    """Gives Patchcord a text or a receipt, signed as docs/messaging.md describes; returns the status."""
    url, body = route["inbound_url"], json.dumps(what)
    stamp, event = str(int(time.time())), secrets.token_hex(8)
    text = "\n".join([stamp, event, "POST", url, body])
    mark = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Patchcord-Event": event,
        "X-Patchcord-Signed-Url": url,
        "X-Patchcord-Signature": f"t={stamp},v1={mark}",
    }
    return request("POST", url, body.encode(), **headers)[0]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/text":
            form = dict(urllib.parse.parse_qsl(body))
            text = {"id": secrets.token_hex(8), **form}
            self.answer(post(text), {})
        else:
            text = json.loads(body)
            print(f"{text['to']} gets a text from {text['from']}: {text['body']}", flush=True)
            self.answer(200, {"id": text["message"]})
            receipt = {"id": text["message"], "status": "delivered"}
            threading.Thread(target=post, args=(receipt,)).start()

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
for old in api("GET", f"{ROUTES}.json")["message_routes"]:
    if old["friendly_name"] == "phones":
        api("DELETE", f"{ROUTES}/{old['sid']}.json")
route = api("POST", f"{ROUTES}.json", FriendlyName="phones", Kind="http", Url=f"http://127.0.0.1:{PORT}/sent", Secret=SECRET)
# The route is used within a second.
while not api("GET", f"{ROUTES}/{route['sid']}.json")["up"]:
    time.sleep(0.1)
print("ready", flush=True)
server.serve_forever()
