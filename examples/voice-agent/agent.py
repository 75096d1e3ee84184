"""A voice agent without a vendor: it greets, takes turns by listening for energy, can be interrupted, and
transfers the call to a person when the caller presses 0.

README.md beside this file describes how to start it.

Speech comes from eSpeak NG, which Patchcord uses too. To make an agent of it, replace `answer`.
"""

import asyncio
import base64
import json
import os
import urllib.parse
import urllib.request

from websockets.asyncio.server import serve

import ulaw

PORT = int(os.environ.get("AGENT_PORT", "8765"))
API = os.environ.get("API_URL", "http://127.0.0.1:8080")
ACCOUNT = os.environ["PATCHCORD_ADMIN_SID"]
TOKEN = os.environ["PATCHCORD_ADMIN_TOKEN"]
PERSON = os.environ.get("PERSON_URL", "http://127.0.0.1:8000/person.xml")

LOUD = 500  # mean amplitude of a frame with speech
BEGINS = 3  # loud frames of 20 ms that begin a turn of the caller
ENDS = 30  # quiet frames that end it


def answer(seconds):
    """What to say after the caller has spoken for that long."""
    return f"You spoke for {seconds:.0f} seconds. Press zero to talk to a person."


async def speech(text):
    """A text as µ-law at 8 kHz."""
    command = ["espeak-ng", "--stdout", text]
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    wav, _ = await program.communicate()
    return ulaw.from_wav(wav)


def transfer(call):
    """Redirects the call to the document that dials a person."""
    url = f"{API}/2010-04-01/Accounts/{ACCOUNT}/Calls/{call}.json"
    form = urllib.parse.urlencode({"Url": PERSON, "Method": "GET"}).encode()
    request = urllib.request.Request(url, form)
    basic = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    request.add_header("Authorization", f"Basic {basic}")
    with urllib.request.urlopen(request) as reply:
        return reply.status


class Conversation:
    """One call."""

    def __init__(self, socket):
        self.socket = socket
        self.call = None
        self.speaking = 0  # texts that were sent and not yet played
        self.loud = self.quiet = self.turn = 0

    async def send(self, event, **rest):
        await self.socket.send(json.dumps({"event": event, **rest}))

    async def say(self, text):
        print("says:", text, flush=True)
        payload = base64.b64encode(await speech(text)).decode()
        self.speaking += 1
        await self.send("media", media={"payload": payload})
        # It comes back when the text has been played, or dropped.
        await self.send("mark", mark={"name": text})

    async def hear(self, frame):
        """20 ms of the caller."""
        if ulaw.loudness(frame) >= LOUD:
            self.loud, self.quiet = self.loud + 1, 0
        else:
            self.loud, self.quiet = 0, self.quiet + 1
        if self.turn:
            self.turn += 1
            if self.quiet >= ENDS:
                seconds, self.turn = (self.turn - ENDS) / 50, 0
                await self.say(answer(seconds))
        elif self.loud >= BEGINS:
            self.turn = self.loud
            if self.speaking:
                print("interrupted", flush=True)
                await self.send("clear")

    async def run(self):
        async for text in self.socket:
            message = json.loads(text)
            match message["event"]:
                case "start":
                    self.call = message["start"]["callSid"]
                    await self.say("Hello. I am listening.")
                case "media":
                    await self.hear(base64.b64decode(message["media"]["payload"]))
                case "mark":
                    self.speaking -= 1
                case "dtmf" if message["dtmf"]["digit"] == "0":
                    print("transfers", flush=True)
                    await asyncio.to_thread(transfer, self.call)
                case "stop":
                    print("over", flush=True)


async def main():
    async with serve(lambda socket: Conversation(socket).run(), "127.0.0.1", PORT) as server:
        print("listens at", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
