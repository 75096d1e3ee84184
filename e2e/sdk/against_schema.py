"""Sends generated requests to a server and checks its answers against an OpenAPI document, with schemathesis.

Arguments: address of the server, account, token, OpenAPI document, phases of schemathesis, test cases per operation. Makes a test account with one
or two of each resource and takes the identifiers in paths from them, so that most requests reach a resource. Exits as
schemathesis does.
"""

import base64
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

base, account, token, document, phases, examples = sys.argv[1:]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
FUZZED = "+15005550006"


def ask(method, path, **form):
    """The answer as JSON; `None` if the request is refused."""
    data = urllib.parse.urlencode(form).encode() if form else None
    request = urllib.request.Request(base + path, data, method=method)
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{account}:{token}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError:
        return None


def made(resource, **form):
    """A new resource of the test account."""
    found = ask("POST", f"{top}/{fuzzed}/{resource}.json", **form)
    assert found, (resource, form)
    return found["sid"]


def until(what, check):
    end = time.monotonic() + 15
    while not (found := check()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found


def call(twiml):
    sid = made("Calls", To=FUZZED, From=FUZZED, Twiml=twiml)
    until("answer", lambda: ask("GET", f"{top}/{fuzzed}/Calls/{sid}.json")["status"] == "in-progress")
    return sid


top = "/2010-04-01/Accounts"
fuzzed = ask("POST", f"{top}.json", FriendlyName="fuzzed", Type="Test")["sid"]
# Changes of an account are for another one: they may close it.
changed = ask("POST", f"{top}.json", FriendlyName="changed", Type="Test")["sid"]
for n in range(2):
    made("Applications", FriendlyName=f"a{n}")
    made("Clients", Login=f"fuzzed{n}", Password="Kp7vRt2mXq")
    made("IncomingPhoneNumbers", AreaCode="500")
    made("Keys", FriendlyName=f"k{n}")
    made("Queues", FriendlyName=f"q{n}")
    made("Messages", To=FUZZED, From=FUZZED, Body="hello")
    assert ask("POST", f"/restcomm/2012-04-24/Accounts/{fuzzed}/OutgoingCallerIds.json", PhoneNumber=f"+1202555019{n}")
    call("<Response><Dial><Conference record='record-from-start'>room</Conference></Dial></Response>")
    call("<Response><Enqueue>q0</Enqueue></Response>")
talks = [call("<Response><Zebra/><Pause length='600'/></Response>") for _ in range(2)]
for sid in talks:
    made(f"Calls/{sid}/Recordings")
    made(f"Calls/{sid}/Recordings")


def rows(path, form):
    """The items of a list: JSON keeps them in an array, with or without the fields of a page."""
    found = ask("GET", f"{path}.json")
    lists = [found] if isinstance(found, list) else [part for part in (found or {}).values() if isinstance(part, list)]
    names = ["call_sid", "sid"] if form == "call" else ["sid", "event_sid"]
    sids = [row.get(name) for row in (lists or [[]])[0] if isinstance(row, dict) for name in names]
    return list(dict.fromkeys(sid for sid in sids if sid))


FIXED = {"country": "US", "period": "Daily"}


def parameters(method, path):
    """Values for the open segments of a path: those of resources that exist. DELETE gets the last ones."""
    values, real = {}, ""
    for part in path.removesuffix(".json").split("/")[1:]:
        name = part.strip("{}")
        if name == part:
            real += f"/{part}"
            continue
        if name == "account":
            only = path.endswith("/{account}.json") and method != "get"
            value = changed if only else fuzzed
        else:
            known = rows(real, name) or ["missing"]
            value = FIXED.get(name) or (known[-1] if method == "delete" else known[0])
        values[f"path.{name}"] = value
        real += f"/{value}"
    return values


paths = json.loads(pathlib.Path(document).read_text())["paths"]
lines = []
missing = set()
for path, operations in paths.items():
    for method in operations:
        values = parameters(method, path)
        missing |= {f"{method} {path}" for value in values.values() if value == "missing"}
        if values:
            pairs = ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in values.items())
            lines += ["[[operations]]", f'include-name = "{method.upper()} {path}"', f"parameters = {{ {pairs} }}"]
print(f"without a resource: {sorted(missing)}")
with tempfile.TemporaryDirectory() as folder:
    config = pathlib.Path(folder, "schemathesis.toml")
    config.write_text("\n".join(lines))
    st = [str(pathlib.Path(sys.executable).with_name("st")), "--config-file", str(config), "run", document, "--url", base]
    st += ["--auth", f"{account}:{token}", "--seed", "1", "--max-examples", examples, "--phases", phases]
    st += ["--checks", CHECKS, "--no-shrink", "--suppress-health-check", "all", "--request-timeout", "30"]
    st += ["--continue-on-failure", "--warnings", "off"]
    sys.exit(subprocess.run(st, check=False, cwd=folder).returncode)
