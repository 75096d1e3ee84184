"""A server for `<ConversationRelay>`, over the Python library `websockets`.

Arguments: auth token, address of a sound.
Prints one JSON object per line: first its port, then every message.

It answers the first prompt with several sentences, in pieces. Once it is interrupted, it waits for a
second, plays the sound, and after that has been played ends the conversation.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import sys

from websockets.asyncio.server import serve

token, sound = sys.argv[1:]

ANSWER = ("It is late in the evening. The shops are closed, and the last train has left. "
          "There is a night bus at the market square. It leaves every hour, on the hour.")


def say(**line):
    print(json.dumps(line), flush=True)


async def agent(socket):
    path, headers = socket.request.path, socket.request.headers
    url = f"ws://{headers['Host']}{path}"
    mac = hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()
    say(path=path, signed=base64.b64encode(mac).decode() == headers["X-Twilio-Signature"])

    async def send(kind, **rest):
        await socket.send(json.dumps({"type": kind, **rest}))

    async for text in socket:
        message = json.loads(text)
        say(message=message)
        if message["type"] == "setup":
            # What is not understood changes nothing.
            await socket.send(b"\0")
            await send("hello")
        elif message["type"] == "prompt" and message["voicePrompt"] == "what time is it":
            words = ANSWER.split(" ")
            for word in words[:-1]:
                await send("text", token=word + " ", last=False)
            await send("text", token=words[-1], last=True)
        elif message["type"] == "interrupt":
            await asyncio.sleep(1)
            await send("play", source=sound)
        elif message["type"] == "dtmf":
            await send("end", handoffData=json.dumps({"digit": message["digit"]}))
    say(closed=path)


async def main():
    async with serve(agent, "127.0.0.1", 0) as server:
        say(port=server.sockets[0].getsockname()[1])
        await server.serve_forever()


asyncio.run(main())
