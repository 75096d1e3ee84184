"""An AI agent without the intelligence: a server for `<Stream>`, over the Python library `websockets`.

Arguments: three pitches in Hz to play, auth token, address of the API, account.
Prints one JSON object per line: first its port, then what it notices.

`/talk` plays a tone of 0.6 s with a mark behind it and a long second tone. When the mark is returned, it
drops the second tone; when that returns the second mark, it plays a third tone of 1.5 s. After a key it
closes the stream; `/end` ends the call through the API instead. `/listen` only listens.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import math
import sys
import urllib.error
import urllib.parse
import urllib.request

from websockets.asyncio.server import serve

first, second, third = (float(hz) for hz in sys.argv[1:4])
token, api, account = sys.argv[4:]


def say(**line):
    print(json.dumps(line), flush=True)


def encode(sample):
    """One sample as µ-law (G.711)."""
    sign = 0x80 if sample < 0 else 0
    value = min(abs(sample), 32635) + 132
    exponent = value.bit_length() - 8
    return ~(sign | exponent << 4 | value >> exponent + 3 & 15) & 0xFF


def decode(octet):
    octet = ~octet & 0xFF
    value = ((octet & 15) << 3 | 132) << (octet >> 4 & 7)
    return 132 - value if octet & 0x80 else value - 132


def tone(hz, seconds):
    samples = (8000 * math.sin(2 * math.pi * hz * at / 8000) for at in range(int(8000 * seconds)))
    return base64.b64encode(bytes(encode(int(sample)) for sample in samples)).decode()


def pitch(octets):
    """The frequency of a tone, by its zero crossings."""
    samples = [decode(octet) for octet in octets]
    crossings = sum(a < 0 <= b for a, b in zip(samples, samples[1:]))
    return crossings * 8000 / len(samples)


def complete(call):
    """Ends the call through the API; the status, and the code of an error."""
    url = f"{api}/2010-04-01/Accounts/{account}/Calls/{call}.json"
    request = urllib.request.Request(url, urllib.parse.urlencode({"Status": "completed"}).encode())
    basic = base64.b64encode(f"{account}:{token}".encode()).decode()
    request.add_header("Authorization", f"Basic {basic}")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)["status"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["code"]


async def agent(socket):
    path, headers = socket.request.path, socket.request.headers
    url = f"ws://{headers['Host']}{path}"
    mac = hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()
    signed = base64.b64encode(mac).decode() == headers["X-Twilio-Signature"]
    say(path=path, signed=signed and url == headers["X-Patchcord-Signed-Url"],
        ours="X-Patchcord-Signature" in headers)
    sequence, heard, media, call = 0, {}, 0, None

    async def send(event, **rest):
        await socket.send(json.dumps({"event": event, **rest}))

    async for text in socket:
        message = json.loads(text)
        event = message["event"]
        if event != "connected":
            sequence += 1
            if message["sequenceNumber"] != str(sequence):
                say(fault="sequence", message=message)
        if event == "media":
            media += 1
            part = message["media"]
            heard.setdefault(part["track"], bytearray()).extend(base64.b64decode(part["payload"]))
            if media == 1:
                say(event=event, chunk=part["chunk"], timestamp=part["timestamp"])
            continue
        say(event=event, **{key: message[key] for key in (event, "protocol") if key in message})
        if event == "start":
            call = message["start"]["callSid"]
            if path.startswith("/listen"):
                continue
            # What is not understood changes nothing.
            await socket.send(b"\0")
            await socket.send("hello")
            await send("media", media={"payload": tone(first, 0.6)})
            await send("mark", streamSid=message["streamSid"], mark={"name": "first"})
            await send("media", streamSid=message["streamSid"], media={"payload": tone(second, 20)})
            await send("mark", mark={"name": "second"})
        elif event == "mark" and message["mark"]["name"] == "first":
            await send("clear", streamSid=message["streamSid"])
        elif event == "mark" and message["mark"]["name"] == "second":
            await asyncio.sleep(0.4)
            await send("media", media={"payload": tone(third, 1.5)})
            await send("mark", mark={"name": "third"})
        elif event == "mark":
            say(pitch=pitch(heard["inbound"][-4000:]))
        elif event == "dtmf" and path == "/end":
            say(completed=await asyncio.to_thread(complete, call))
        elif event == "dtmf":
            await socket.close()
        elif event == "stop":
            say(tracks={track: pitch(octets[-4000:]) for track, octets in heard.items()})
            if path == "/end":
                await asyncio.sleep(0.3)
                say(completed=await asyncio.to_thread(complete, call))
    say(closed=path)


async def main():
    async with serve(agent, "127.0.0.1", 0) as server:
        say(port=server.sockets[0].getsockname()[1])
        await server.serve_forever()


asyncio.run(main())
