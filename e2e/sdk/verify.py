"""Verifies numbers with Twilio's Python library, against another base URL.

Arguments: address of the server, account, token. The text messages go to a provider that this program plays.
Prints one JSON object that says what came back.
"""

import base64
import http.server
import json
import re
import sys
import threading
import time
import urllib.parse
import urllib.request

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

base, account, token = sys.argv[1:]


class Local(TwilioHttpClient):
    """The library's own client, sent elsewhere."""

    def request(self, method, url, **rest):
        return super().request(method, url.replace("https://verify.twilio.com", base), **rest)


def ask(path, **form):
    """A request that the library does not know: GET, or POST with a form."""
    request = urllib.request.Request(base + path, urllib.parse.urlencode(form).encode() if form else None)
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{account}:{token}".encode()).decode())
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def until(what, probe):
    """The first answer that counts; fails after 15 seconds."""
    end = time.monotonic() + 15
    while not (found := probe()):
        assert time.monotonic() < end, f"it did not happen: {what}"
        time.sleep(0.05)
    return found


def refused(request):
    """Status and number of a refusal."""
    try:
        request()
    except TwilioRestException as error:
        return [error.status, error.code]
    return None


texts = {}


class Provider(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts[text["to"]] = text["body"]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"id": text["message"]}).encode())

    def log_message(self, *_):
        pass


provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=provider.serve_forever, daemon=True).start()
routes = f"/restcomm/2012-04-24/Accounts/{account}/MessageRoutes"
route = ask(f"{routes}.json", Kind="http", Url=f"http://127.0.0.1:{provider.server_port}/", Secret="whsec")["sid"]
until("the route", lambda: ask(f"{routes}/{route}.json")["up"])

verify = Client(account, token, http_client=Local()).verify.v2
made = verify.services.create(friendly_name="Shop", code_length=7)
service = verify.services(made.sid)
ask(f"/v2/Services/{made.sid}", From="+15550001", ResendSeconds=0)
limit = service.rate_limits.create(unique_name="end_user_ip", description="addresses")
service.rate_limits(limit.sid).buckets.create(max=2, interval=3600)

person, other = "+4915112345678", "+4915112345679"
seen = {"service": [made.friendly_name, service.fetch().code_length]}
sent = service.verifications.create(to=person, channel="sms", rate_limits={"end_user_ip": "192.0.2.1"})
code = re.search(r"\d{7}", until("the text", lambda: texts.get(person)))[0]
seen["sent"] = [sent.status, sent.to, sent.channel, sent.valid]
wrong = service.verification_checks.create(to=person, code="0000000" if code != "0000000" else "1111111")
right = service.verification_checks.create(to=person, code=code)
seen["checks"] = [wrong.status, wrong.valid, right.status, right.valid]
seen["fetched"] = service.verifications(sent.sid).fetch().status
seen["again"] = refused(lambda: service.verification_checks.create(to=person, code=code))
second = service.verifications.create(to=other, channel="sms", rate_limits={"end_user_ip": "192.0.2.1"})
seen["canceled"] = service.verifications(second.sid).update(status="canceled").status
limited = lambda: service.verifications.create(to=other, channel="sms", rate_limits={"end_user_ip": "192.0.2.1"})
seen["limited"] = refused(limited)
seen["attempts"] = sorted(one.conversion_status for one in verify.verification_attempts.list())
summary = verify.verification_attempts_summary().fetch(verify_service_sid=made.sid)
seen["summary"] = [summary.total_attempts, summary.total_converted]
seen["limits"] = [one.unique_name for one in service.rate_limits.list()]
seen["listed"] = [one.sid == made.sid for one in verify.services.list()]
seen["deleted"] = service.delete()
seen["missing"] = refused(service.fetch)
print(json.dumps(seen))
