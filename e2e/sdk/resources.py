"""Walks through every common resource with Twilio's Python library, against another base URL.

Arguments: address of the server, account, token. The account creates a test account, in which everything else happens.
Prints one JSON object: the requests that were made, and the events whose signatures were checked.
"""

import http.server
import json
import sys
import threading
import time
import urllib.parse
from datetime import datetime, timedelta, timezone

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

base, account, token = sys.argv[1:]
requests = set()


class Local(TwilioHttpClient):
    """The library's own client, sent elsewhere."""

    pages = 0

    def request(self, method, url, **rest):
        requests.add(f"{method} {urllib.parse.urlsplit(url).path}")
        Local.pages += "PageToken" in url
        return super().request(method, url.replace("https://api.twilio.com", base), **rest)


def until(what, ask):
    """The first answer that counts; fails after 15 seconds."""
    end = time.monotonic() + 15
    while not (found := ask()):
        assert time.monotonic() < end, f"it did not happen: {what}"
        time.sleep(0.05)
    return found


def refused(ask):
    """Status and number of a refusal."""
    try:
        ask()
    except TwilioRestException as error:
        return [error.status, error.code]
    return None


def listed(resource, wanted, **filters):
    """A list that takes several pages has every one of its rows once."""
    pages = Local.pages
    found = [row.sid for row in resource.list(page_size=2, **filters)]
    assert len(found) == len(set(found)), found
    assert wanted <= set(found), (wanted, found)
    assert Local.pages >= pages + (len(wanted) + 1) // 2 - 1, "it was one page"
    assert [row.sid for row in resource.list(limit=1, **filters)] == found[:1]


# The account that everything happens in.
top = Client(account, token, http_client=Local())
made = top.request("POST", "https://api.twilio.com/2010-04-01/Accounts.json", data={"FriendlyName": "tests", "Type": "Test"})
assert made.status_code == 201, made.text
made = json.loads(made.text)
sid, secret = made["sid"], made["auth_token"]
client = Client(sid, secret, http_client=Local())
validator = RequestValidator(secret)

# The application: it runs no document, and checks the signature of what it is sent.
events = []


class Application(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        params = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
        signature = self.headers["X-Twilio-Signature"]
        url = f"{app}{self.path}"
        genuine = validator.validate(url, params, signature)
        forged = validator.validate(url, {**params, "AccountSid": "AC0"}, signature)
        events.append((self.path, params, genuine and not forged))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
threading.Thread(target=server.serve_forever, daemon=True).start()
app = f"http://127.0.0.1:{server.server_port}"


def statuses(path):
    return [params["CallStatus"] for at, params, _ in events if at == path]


# Accounts
children = [client.api.v2010.accounts.create(friendly_name=f"branch {n}") for n in range(3)]
assert {child.type for child in children} == {"Test"}
listed(client.api.v2010.accounts, {child.sid for child in children})
child = children[0]
assert client.api.v2010.accounts(child.sid).fetch().friendly_name == "branch 0"
assert client.api.v2010.accounts(child.sid).update(friendly_name="north").friendly_name == "north"
assert client.api.v2010.accounts(child.sid).update(status="closed").status == "closed"

# Keys
keys = [client.new_keys.create(friendly_name=f"key {n}") for n in range(3)]
listed(client.keys, {key.sid for key in keys})
with_key = Client(keys[0].sid, keys[0].secret, sid, http_client=Local())
assert with_key.calls.list() == []
assert client.keys(keys[0].sid).fetch().friendly_name == "key 0"
assert client.keys(keys[0].sid).update(friendly_name="one").friendly_name == "one"
assert client.keys(keys[0].sid).delete()
assert refused(with_key.calls("CA" + "0" * 32).fetch) == [401, 20003]

# Applications
applications = [client.applications.create(friendly_name=f"menu {n}", voice_url=f"{app}/menu") for n in range(3)]
listed(client.applications, {one.sid for one in applications})
one = client.applications(applications[0].sid)
assert one.fetch().voice_url == f"{app}/menu"
assert one.update(voice_method="GET").voice_method == "GET"
assert one.delete()
assert refused(one.fetch) == [404, 20404]

# Numbers: for sale, bought, and of others
assert [country.country_code for country in client.available_phone_numbers.list()] == ["US"]
us = client.available_phone_numbers("US")
assert us.fetch().country_code == "US"
free = us.local.list(area_code=500, limit=4)
assert len(free) == 4
assert us.toll_free.list() == [] and us.mobile.list() == []
numbers = [client.incoming_phone_numbers.create(phone_number=offer.phone_number) for offer in free[:3]]
numbers.append(client.incoming_phone_numbers.local.create(phone_number=free[3].phone_number))
numbers.append(client.incoming_phone_numbers.create(area_code="500"))
numbers.append(client.incoming_phone_numbers.create(phone_number="+15005550006"))
assert refused(lambda: client.incoming_phone_numbers.create(phone_number="+15005550000")) == [400, 21422]
assert refused(lambda: client.incoming_phone_numbers.create(phone_number="+15005550001")) == [400, 21421]
assert refused(lambda: client.incoming_phone_numbers.create(area_code="533")) == [400, 21422]
for kind in (client.incoming_phone_numbers.toll_free, client.incoming_phone_numbers.mobile):
    assert refused(lambda: kind.create(phone_number="+15005550000")) == [400, 21422]
    kind.list()
client.incoming_phone_numbers.local.list()
listed(client.incoming_phone_numbers, {number.sid for number in numbers})
number = client.incoming_phone_numbers(numbers[0].sid)
assert number.update(friendly_name="desk", voice_url=f"{app}/menu").friendly_name == "desk"
assert number.fetch().voice_url == f"{app}/menu"
assert number.delete()

# Caller IDs: a call asks the owner of the number for a code.
validation = client.validation_requests.create(phone_number="+15005550006", friendly_name="mine")
assert validation.validation_code
ids = []
for n in range(3):
    # Without a validation call, at the other base.
    url = f"https://api.twilio.com/restcomm/2012-04-24/Accounts/{sid}/OutgoingCallerIds.json"
    ids.append(json.loads(client.request("POST", url, data={"PhoneNumber": f"+1202555010{n}"}).text)["sid"])
listed(client.outgoing_caller_ids, set(ids))
caller = client.outgoing_caller_ids(ids[0])
assert caller.fetch().phone_number == "+12025550100"
assert caller.update(friendly_name="desk").friendly_name == "desk"
assert caller.delete()

# Calls: each number of test mode does what it says.
TALK = "<Response><Pause length='60'/></Response>"
ends = {
    "+15005550101": "busy",
    "+15005550102": "no-answer",
    "+15005550103": "failed",
    "+15005550104": "failed",
    "+15005550110": "completed",
    "+15005550201": "completed",
    "+15005550300": "completed",
}
calls = {}
for to, end in ends.items():
    calls[to] = client.calls.create(
        to=to,
        from_="+15005550006",
        twiml="<Response><Pause length='1'/></Response>" if to.endswith("0300") else TALK,
        timeout=2,
        status_callback=f"{app}/{to[1:]}",
        status_callback_event=["initiated", "ringing", "answered", "completed"],
    ).sid
machine = client.calls.create(
    to="+15005550106",
    from_="+15005550006",
    twiml="<Response/>",
    machine_detection="DetectMessageEnd",
    async_amd=False,
)
for last, code in {"0001": 21217, "0002": 21214, "0003": 21215, "0004": 21216}.items():
    to = f"+1500555{last}"
    assert refused(lambda: client.calls.create(to=to, from_="+15005550006", twiml=TALK)) == [400, code], to
for to, end in ends.items():
    until(f"{to} is {end}", lambda: client.calls(calls[to]).fetch().status == end)
    until(f"the last callback of {to}", lambda: end in statuses(f"/{to[1:]}"))
answered = ["initiated", "ringing", "in-progress", "completed"]
assert statuses("/15005550201") == answered, statuses("/15005550201")
assert statuses("/15005550101") == ["initiated", "ringing", "busy"], statuses("/15005550101")
found = until("machine", lambda: (call := client.calls(machine.sid).fetch()).status == "completed" and call)
assert found.answered_by == "machine_end_beep", found.answered_by
listed(client.calls, set(calls.values()))
assert client.calls.list(status="busy")[0].sid == calls["+15005550101"]
long = client.calls.create(to="+15005550006", from_="+15005550006", twiml=TALK).sid
until("answer", lambda: client.calls(long).fetch().status == "in-progress")
assert client.calls(long).events.list() is not None

# Recordings, of a live call and as a resource
recordings = [client.calls(long).recordings.create(recording_channels="dual")]
of_call = client.calls(long).recordings(recordings[0].sid)
assert of_call.update(status="paused").status == "paused"
assert of_call.update(status="in-progress").status == "in-progress"
of_call.update(status="stopped")
for _ in range(3):
    recordings.append(client.calls(long).recordings.create())
    client.calls(long).recordings("Twilio.CURRENT").update(status="stopped")
stored = until("recordings", lambda: len(done := client.calls(long).recordings.list(page_size=2)) == 4 and all(one.status == "completed" for one in done) and done)
listed(client.recordings, {one.sid for one in stored})
assert client.recordings(stored[0].sid).fetch().call_sid == long
assert client.recordings(stored[0].sid).transcriptions.list() == []
assert of_call.fetch().sid == recordings[0].sid and of_call.delete()
assert client.recordings(recordings[1].sid).delete()
assert refused(client.recordings(recordings[1].sid).fetch) == [404, 20404]

# Transcriptions: none are made, so there is none to read.
assert client.transcriptions.list() == []
missing = client.transcriptions("TR" + "0" * 32)
assert refused(missing.fetch) == [404, 20404] and refused(missing.delete) == [404, 20404]

# A change of a live call, and notifications about its document
assert client.calls(long).update(twiml="<Response><Zebra/><Zebra/><Zebra/></Response>").sid == long
until("end", lambda: client.calls(long).fetch().status == "completed")
notes = until("notifications", lambda: client.calls(long).notifications.list())
assert client.notifications(notes[0].sid).fetch().call_sid == long
assert notes[0].sid in [note.sid for note in client.notifications.list(page_size=2)]

# Conferences and participants
ROOM = "<Response><Dial><Conference record='record-from-start'>room</Conference></Dial></Response>"
for _ in range(2):  # a conference is listed from the second member on
    client.calls.create(to="+15005550006", from_="+15005550006", twiml=ROOM)
room = until("conference", lambda: client.conferences.list(friendly_name="room", limit=1))[0]
conference = client.conferences(room.sid)
until("member", lambda: conference.participants.list())
invited = [conference.participants.create(to="+15005550006", from_="+15005550006", label=f"guest {n}") for n in range(2)]
until("all are there", lambda: len(conference.participants.list(page_size=2)) == 4)
guest = conference.participants(invited[0].call_sid)
assert guest.fetch().label == "guest 0"
assert guest.update(muted=True).muted is True
assert guest.delete()
taped = until("recording of the conference", lambda: conference.recordings.list())[0]
tape = conference.recordings(taped.sid)
assert tape.fetch().conference_sid == room.sid
assert tape.update(status="paused").status == "paused"
assert tape.update(status="in-progress").status == "in-progress"
assert conference.fetch().status == "in-progress"
assert conference.update(status="completed").status == "completed"
# Parties of test mode are silent: the recording is empty, and so is not kept.
until("closed recording", lambda: refused(tape.fetch) == [404, 20404])
assert refused(tape.delete) == [404, 20404]

# Queues and members
queues = [client.queues.create(friendly_name=f"line {n}", max_size=5) for n in range(3)]
listed(client.queues, {queue.sid for queue in queues})
queue = client.queues(queues[0].sid)
assert queue.update(max_size=20).max_size == 20
WAIT = "<Response><Enqueue>line 0</Enqueue></Response>"
waiting = [client.calls.create(to="+15005550006", from_="+15005550006", twiml=WAIT).sid for _ in range(3)]
until("members", lambda: len(queue.members.list(page_size=2)) == 3)
assert queue.fetch().current_size == 3
front = queue.members("Front").fetch()
assert front.call_sid in waiting
assert queue.members(front.call_sid).update(url=f"{app}/away").call_sid == front.call_sid
assert refused(queue.delete) == [409, 21240]
for call in waiting:
    refused(lambda: client.calls(call).update(status="completed"))
until("empty", lambda: queue.fetch().current_size == 0)
assert queue.delete()

# Text messages
texts = {to: client.messages.create(to=to, from_="+15005550006", body=f"hello {n}", status_callback=f"{app}/text").sid for n, to in enumerate(["+15005550006", "+15005550101", "+12025550123"])}
until("sent", lambda: client.messages(texts["+15005550006"]).fetch().status == "sent")
until("failed", lambda: client.messages(texts["+15005550101"]).fetch().status == "failed")
listed(client.messages, set(texts.values()))
assert client.messages.list(to="+15005550006")[0].body == "hello 0"
later = datetime.now(timezone.utc) + timedelta(hours=1)
planned = client.messages.create(to="+15005550006", from_="+15005550006", body="later", schedule_type="fixed", send_at=later, validity_period=60)
assert planned.status == "scheduled" and planned.date_sent is None
assert client.messages(planned.sid).update(status="canceled").status == "canceled"
assert refused(lambda: client.messages(planned.sid).update(status="canceled")) == [409, 30409]
assert refused(lambda: client.messages.create(to="+1", from_="+1", body="x", schedule_type="fixed", send_at=later - timedelta(hours=1))) == [400, 35114]
assert client.messages(planned.sid).delete()
gone = client.messages(texts["+15005550101"])
assert gone.update(body="").body == ""
assert gone.delete()
assert refused(gone.fetch) == [404, 20404]

# Usage
records = {record.category: record for record in client.usage.records.list(page_size=2)}
assert int(records["calls"].count) > len(ends), records["calls"].count
usage = client.usage.records
periods = [usage.today, usage.yesterday, usage.this_month, usage.last_month, usage.daily, usage.monthly, usage.yearly, usage.all_time]
assert [bool(period.list(limit=5)) for period in periods].count(True) >= 4

# Usage triggers
triggers = client.usage.triggers
limit = triggers.create(usage_category="calls", trigger_value="+100000", callback_url=f"{app}/limit", recurring="monthly")
assert int(limit.trigger_value) > 100000, limit.trigger_value
assert triggers(limit.sid).fetch().recurring == "monthly"
assert triggers(limit.sid).update(friendly_name="limit").friendly_name == "limit"
assert [one.sid for one in triggers.list(recurring="monthly")] == [limit.sid]
assert triggers(limit.sid).delete()

# Everything that reached the application came from this server.
forged = [(path, params) for path, params, genuine in events if not genuine]
assert not forged, forged[0]
print(json.dumps({"account": sid, "requests": sorted(requests), "signed": len(events)}))
