"""What a program with Twilio's Python library does, against another base URL.

Arguments: address of the server, account, token, document to run, document to run next.
Prints one JSON object that says what came back.
"""

import json
import sys
import time

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

base, account, token, url, next_url = sys.argv[1:]


class Local(TwilioHttpClient):
    """The library's own client, sent elsewhere."""

    pages = 0

    def request(self, method, url, **rest):
        Local.pages += "PageToken" in url
        return super().request(method, url.replace("https://api.twilio.com", base), **rest)


client = Client(account, token, http_client=Local())


def until(call, wanted):
    """The call in its wanted state; fails after ten seconds."""
    end = time.monotonic() + 10
    while (found := client.calls(call).fetch()).status != wanted:
        assert time.monotonic() < end, f"{found.status} instead of {wanted}"
        time.sleep(0.05)
    return found


def make():
    return client.calls.create(
        to="client:ann",
        from_="+15550100",
        url=url,
        method="GET",
        status_callback_event=["answered", "completed"],
    )


made = [make() for _ in range(3)]
first = until(made[0].sid, "in-progress")
listed = client.calls.list(page_size=2)
pages = Local.pages
changed = client.calls(first.sid).update(url=next_url, method="GET")
# The library waits for what happens next: the second party of the call has answered.
end = time.monotonic() + 10
while not (children := client.calls.list(parent_call_sid=first.sid, status="in-progress")):
    assert time.monotonic() < end, "nobody was dialled"
    time.sleep(0.05)
# Recorded beside the recording of its Dial.
recorded = client.calls(first.sid).recordings.create(recording_channels="dual")
of_first = client.calls(first.sid).recordings(recorded.sid)
live = [
    recorded.status,
    of_first.update(status="paused", pause_behavior="silence").status,
    of_first.update(status="in-progress").status,
    of_first.update(status="stopped").status,
]
# The phone takes as many calls as it likes and may have ended the others itself.
ended = client.calls(first.sid).update(status="completed")
try:
    client.calls(first.sid).update(status="completed")
    again = None
except TwilioRestException as error:
    again = [error.status, error.code]
sent = client.messages.create(to="client:bob", from_="+15550100", body="hi")
while (text := client.messages(sent.sid).fetch()).status != "sent":
    assert text.status in ("queued", "sending"), text.status
    time.sleep(0.05)
try:
    client.calls("CA" + "0" * 32).fetch()
    missing = None
except TwilioRestException as error:
    missing = [error.status, error.code]
try:
    client.calls.create(to="client:ann", from_="+15550100", url=url, call_reason="hello")
    refused = None
except TwilioRestException as error:
    refused = error.msg
end = time.monotonic() + 10
while True:
    recordings = client.recordings.list(call_sid=first.sid)
    if len(recordings) == 2 and all(found.status == "completed" for found in recordings):
        break
    assert time.monotonic() < end, "there is no recording"
    time.sleep(0.05)
messages = client.messages.list(to="nobody")
application = client.applications.create(voice_url=url, voice_method="GET", sms_url=next_url)
application = client.applications(application.sid).update(voice_fallback_url=next_url)
application = client.applications(application.sid).fetch()
made_key = client.new_keys.create(friendly_name="program")
with_key = Client(made_key.sid, made_key.secret, account, http_client=Local())
key = [
    with_key.calls(first.sid).fetch().sid,
    client.keys(made_key.sid).update(friendly_name="renamed").friendly_name,
    [found.sid == made_key.sid for found in client.keys.list(limit=20)],
    client.keys(made_key.sid).delete(),
]
try:
    with_key.calls(first.sid).fetch()
except TwilioRestException as error:
    key.append([error.status, error.code])
print(
    json.dumps(
        {
            "account": client.api.v2010.accounts(account).fetch().sid,
            "made": [call.sid for call in made],
            "listed": [call.sid for call in listed],
            "pages": pages,
            "changed": changed.sid,
            "ended": [ended.sid, ended.status, ended.end_time >= ended.start_time],
            "again": again,
            "sent": [text.to, text.body, text.num_segments, text.error_code],
            "children": [call.direction for call in children],
            "missing": missing,
            "refused": refused,
            "messages": [[message.body, message.direction] for message in messages],
            "live": live,
            "recordings": [recording.call_sid for recording in recordings],
            "application": [
                application.voice_url == url,
                application.voice_method,
                application.voice_fallback_url == next_url,
                application.sms_url == next_url,
            ],
            "key": key,
            "deleted": client.recordings(recordings[0].sid).delete(),
        }
    )
)
