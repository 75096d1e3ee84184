"""Sends texts with Twilio's Python library, against another base URL, and follows them to their final status.

Arguments: address of the server, account, token. Prints one JSON object that says what came back.
"""

import datetime
import json
import sys
import time

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

base, account, token = sys.argv[1:]


class Local(TwilioHttpClient):
    """The library's own client, sent elsewhere."""

    def request(self, method, url, **rest):
        return super().request(method, url.replace("https://api.twilio.com", base), **rest)


client = Client(account, token, http_client=Local())


def follow(to, body, final):
    """What the library shows of a message that has reached its final status; fails after ten seconds."""
    sent = client.messages.create(to=to, from_="+4930123456", body=body)
    assert (sent.status, sent.error_code) == ("queued", None), (sent.status, sent.error_code)
    end = time.monotonic() + 10
    while (found := client.messages(sent.sid).fetch()).status != final:
        assert time.monotonic() < end, f"{found.status} instead of {final}"
        assert found.status in ("queued", "sending", "sent"), found.status
        time.sleep(0.05)
    now = datetime.datetime.now(datetime.timezone.utc)
    is_new = found.date_sent is not None and abs(now - found.date_sent) < datetime.timedelta(minutes=1)
    return [found.status, found.num_segments, found.direction, is_new, found.error_code]


seen = {
    "short": follow("+4915112345671", "hello", "delivered"),
    "long": follow("+4915112345672", "a" * 161, "delivered"),
    "unicode": follow("+4915112345673", "ж" * 71, "delivered"),
    "lost": follow("+4922112345674", "hello", "undelivered"),
    "listed": [one.status for one in client.messages.list(to="+4915112345672")],
}
print(json.dumps(seen))
