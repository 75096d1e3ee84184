"""Masks the numbers of two people with Twilio's Python library for Proxy, against another base URL.

Arguments: address of the server, account, token, and the SIDs of two numbers of the account. Prints one JSON object.
"""

import json
import sys

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

base, account, token, *numbers = sys.argv[1:]


class Local(TwilioHttpClient):
    """The library's own client, sent elsewhere."""

    def request(self, method, url, **rest):
        return super().request(method, url.replace("https://proxy.twilio.com", base), **rest)


client = Client(account, token, http_client=Local())
services = client.proxy.v1.services
made = services.create(unique_name="rides", default_ttl=60, callback_url="http://app.example/told")
service = services(made.sid)
assert (made.unique_name, made.default_ttl, made.geo_match_level) == ("rides", 60, "country")
assert service.update(number_selection_behavior="avoid-sticky").number_selection_behavior == "avoid-sticky"
assert [one.sid for one in services.list()] == [made.sid]
for number in numbers:
    service.phone_numbers.create(sid=number)
assert service.phone_numbers(numbers[0]).update(is_reserved=True).is_reserved is True
assert {one.sid for one in service.phone_numbers.list(page_size=1)} == set(numbers)
begun = service.sessions.create(unique_name="ride-1", mode="voice-only", ttl=30)
session = service.sessions(begun.sid)
assert (begun.status, begun.mode, begun.ttl) == ("open", "voice-only", 30)
people = [session.participants.create(identifier=number) for number in ("+49170000101", "+49170000202")]
# The reserved one is not given out.
assert {one.proxy_identifier_sid for one in people} == {numbers[1]}
assert session.participants(people[0].sid).fetch().identifier == "+49170000101"
assert len(session.participants.list()) == 2
assert session.interactions.list() == []
try:
    services.create(unique_name="rides")
    refused = None
except TwilioRestException as error:
    refused = [error.status, error.code]
closed = session.update(status="closed")
assert (closed.status, closed.closed_reason) == ("closed", "api"), closed
assert session.delete() and service.phone_numbers(numbers[0]).delete() and service.delete()
assert services.list() == []
print(json.dumps({"refused": refused}))
