"""A ride: a passenger and a driver reach each other without learning each other's number.

README.md beside this file describes how to start it. Needs only Python's standard library.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

API = os.environ.get("API_URL", "http://127.0.0.1:8080")
ACCOUNT = os.environ["PATCHCORD_ADMIN_SID"]
TOKEN = os.environ["PATCHCORD_ADMIN_TOKEN"]
PORT = int(os.environ.get("RIDE_PORT", "8001"))
MASK = os.environ.get("MASK", "+493000000001")
OWN = f"http://127.0.0.1:{PORT}/"

is_over = threading.Event()
is_closed = threading.Event()
is_answered = threading.Event()


def request(path, **form):
    """The answer to a GET, or to a POST with a form. A refusal ends the program with its number and text."""
    body = urllib.parse.urlencode(form).encode() if form else None
    basic = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    asked = urllib.request.Request(API + path, body, {"Authorization": f"Basic {basic}"})
    try:
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        sys.exit(f"{path}: {refused.code} {refused.read().decode()}")


def number_sid():
    """The SID of the account's number that serves as the mask; adds it at the first start."""
    numbers = f"/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json"
    found = request(f"{numbers}?{urllib.parse.urlencode({'PhoneNumber': MASK})}")["incoming_phone_numbers"]
    made = found[0] if found else request(numbers, PhoneNumber=MASK, isSIP="true")
    return made["sid"]


def service():
    """The path of the service, with the number in its pool; creates it at the first start."""
    found = [one for one in request("/v1/Services")["services"] if one["unique_name"] == "rides"]
    settings = {"CallbackUrl": OWN + "contact", "UnknownCallers": "announce"}
    if found:
        path = f"/v1/Services/{found[0]['sid']}"
        request(path, **settings)
    else:
        path = f"/v1/Services/{request('/v1/Services', UniqueName='rides', **settings)['sid']}"
    sid = number_sid()
    if all(one["sid"] != sid for one in request(f"{path}/PhoneNumbers")["phone_numbers"]):
        request(f"{path}/PhoneNumbers", Sid=sid)
    return path


def is_genuine(headers, body):
    """Whether Patchcord sent a request: docs/webhooks.md, X-Patchcord-Signature."""
    if "X-Patchcord-Signature" not in headers:
        return False
    url, event = headers["X-Patchcord-Signed-Url"], headers["X-Patchcord-Event"]
    stamp, *marks = headers["X-Patchcord-Signature"].split(",")
    text = "\n".join([stamp.removeprefix("t="), event, "POST", url, ""]).encode() + body
    mark = "v1=" + hmac.new(TOKEN.encode(), text, hashlib.sha256).hexdigest()
    is_fresh = abs(time.time() - int(stamp.removeprefix("t="))) < 300
    return is_fresh and url.startswith(OWN) and any(hmac.compare_digest(mark, one) for one in marks)


class Handler(BaseHTTPRequestHandler):
    """`/contact` is the callback about a call or text; `/over` ends the ride."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = 204
        if self.path == "/over":
            is_over.set()
            # Nothing is passed on any more once this request is answered.
            is_closed.wait(10)
        elif self.path != "/contact":
            status = 404
        elif not is_genuine(self.headers, body):
            status = 403
        else:
            form = dict(urllib.parse.parse_qsl(body.decode()))
            # A callback may be repeated: interactionSid says which interaction it is about.
            print("contact:", form["interactionType"], form["interactionStatus"], flush=True)
        self.send_response(status)
        self.end_headers()
        if self.path == "/over":
            is_answered.set()

    def log_message(self, *_):
        pass


def main(passenger, driver):
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # The session ends after an hour without a call or text even if this program does not end it.
    rides = f"{service()}/Sessions"
    ride = f"{rides}/{request(rides, UniqueName=f'ride-{time.time_ns()}', Ttl=3600)['sid']}"
    people = [request(f"{ride}/Participants", Identifier=number) for number in (passenger, driver)]
    for one, other in (people, reversed(people)):
        print(f"{one['identifier']} dials {one['proxy_identifier']} to reach {other['identifier']}", flush=True)
    is_over.wait()
    closed = request(ride, Status="closed")
    is_closed.set()
    is_answered.wait(10)
    print(f"the ride is {closed['status']}: {closed['closed_reason']}", flush=True)


if len(sys.argv) != 3:
    sys.exit("usage: ride.py PASSENGER DRIVER, two numbers such as +49170000101")
main(*sys.argv[1:])
