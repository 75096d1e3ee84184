"""A login with a code: is this number, or this e-mail address, the person's own?

README.md beside this file describes how to start it. Needs only Python's standard library.
"""

import base64
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

API = os.environ.get("API_URL", "http://127.0.0.1:8080")
ACCOUNT = os.environ["PATCHCORD_ADMIN_SID"]
TOKEN = os.environ["PATCHCORD_ADMIN_TOKEN"]
# In test mode, every code is this one, and nothing is sent.
TEST_CODE = os.environ.get("TEST_CODE", "123456")


def request(path, **form):
    """Status and JSON of the answer to a GET, or to a POST with a form."""
    body = urllib.parse.urlencode(form).encode() if form else None
    basic = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    asked = urllib.request.Request(API + path, body, {"Authorization": f"Basic {basic}"})
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def service():
    """The path of the service "Login"; creates it at the first start."""
    settings = {"From": "+15550001", "EmailFrom": "login@shop.example", "TestCode": TEST_CODE}
    _, listed = request("/v2/Services")
    found = [one["sid"] for one in listed["services"] if one["friendly_name"] == "Login"]
    path = f"/v2/Services/{found[0]}" if found else "/v2/Services"
    status, made = request(path, **settings) if found else request(path, FriendlyName="Login", **settings)
    if status >= 300:
        sys.exit(f"no service: {made}")
    return f"/v2/Services/{made['sid']}"


def send(path, to):
    """Has a code sent; returns what to say if it was not."""
    channel = "email" if "@" in to else "sms"
    status, answer = request(f"{path}/Verifications", To=to, Channel=channel)
    if status < 300:
        return None
    match answer["code"]:
        case 60202 | 60203:
            return "Too many attempts. Try again in ten minutes."
        case 60212:
            return "A code was sent just now. Use it, or wait half a minute."
        case 60410 | 60605:
            return "No code can be sent to this number."
        case _:
            return f"No code was sent: {answer['message']}"


def check(path, to, code):
    """Whether the person is who they say, and what to say; `None` while they may guess again."""
    status, answer = request(f"{path}/VerificationCheck", To=to, Code=code)
    if status == 404:
        return False, "The code has expired. Ask for another one."
    if status == 429:
        return False, "Too many wrong codes. Try again in ten minutes."
    if status >= 300:
        return None, f"This is not a code: {answer['message']}"
    if answer["status"] == "approved":
        return True, "Welcome."
    return None, f"Wrong code. Tries left: {answer['checks_left']}"


def main(to):
    path = service()
    if problem := send(path, to):
        sys.exit(problem)
    print("The code?", flush=True)
    for line in sys.stdin:
        is_known, text = check(path, to, line.strip())
        print(text, flush=True)
        if is_known is not None:
            sys.exit(0 if is_known else 1)
    sys.exit(1)


if len(sys.argv) != 2:
    sys.exit("usage: login.py RECIPIENT, a number such as +4915112345678, or an e-mail address")
main(sys.argv[1])
