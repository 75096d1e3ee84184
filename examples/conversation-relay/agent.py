"""An agent that talks to callers in text, without a vendor: it answers what it is asked, remembers where it
was interrupted, and hands the caller over to a person who is asked for by word or with the key 0.

README.md beside this file describes how to start it. To make an agent of it, replace `answer` with a
language model that yields its answer piece by piece.
"""

import asyncio
import json
import os

from websockets.asyncio.server import serve

PORT = int(os.environ.get("AGENT_PORT", "8766"))


async def answer(question):
    """The answer to a question, piece by piece."""
    text = (f"You said: {question}. I cannot think, so that is all I know about it. "
            "Ask for a person, or press zero.")
    for word in text.split(" "):
        yield word + " "
        await asyncio.sleep(0.02)


class Conversation:
    """One call."""

    def __init__(self, socket):
        self.socket = socket
        self.answering = None

    async def send(self, kind, **rest):
        await self.socket.send(json.dumps({"type": kind, **rest}))

    async def speak(self, question):
        async for piece in answer(question):
            await self.send("text", token=piece, last=False)
        await self.send("text", token="", last=True)

    def stop(self):
        """Stops sending an answer that the caller does not want to hear."""
        if self.answering:
            self.answering.cancel()

    async def run(self):
        async for text in self.socket:
            message = json.loads(text)
            match message["type"]:
                case "setup":
                    print("call from", message["from"], flush=True)
                case "prompt" if "person" in message["voicePrompt"].lower():
                    await self.send("end", handoffData="person")
                case "prompt":
                    print("asked:", message["voicePrompt"], flush=True)
                    self.stop()
                    self.answering = asyncio.create_task(self.speak(message["voicePrompt"]))
                case "interrupt":
                    print("interrupted after:", message["utteranceUntilInterrupt"], flush=True)
                    self.stop()
                case "dtmf" if message["digit"] == "0":
                    await self.send("end", handoffData="person")
                case "error":
                    print("error:", message["description"], flush=True)
        self.stop()
        print("over", flush=True)


async def main():
    async with serve(lambda socket: Conversation(socket).run(), "127.0.0.1", PORT) as server:
        print("listens at", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
