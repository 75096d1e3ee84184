"""A bot made with Pipecat, as it would be for Twilio except for the base URL, and without any vendor.

Arguments: two pitches in Hz to play, auth token, address of the API, account.
Prints one JSON object per line: first its port, then what it notices.

It serves `/ws` and detects speech by its energy. When the caller has spoken, it answers with the next tone, of
ten seconds unless the caller speaks again, which interrupts it. A key interrupts it too, and ends the call.
"""

import asyncio
import json
import socket
import sys

import numpy
import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.frames.frames import EndWorkerFrame, InputAudioRawFrame, InputDTMFFrame, TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

pitches = [float(hz) for hz in sys.argv[1:3]]
token, api, account = sys.argv[3:]

RATE = 8000
LOUD = 500  # mean amplitude of a frame with speech
BEGINS = 3  # loud frames of 20 ms that begin an utterance
ENDS = 15  # quiet frames that end it


def say(**line):
    print(json.dumps(line), flush=True)


def tone(hz, seconds):
    at = numpy.arange(int(RATE * seconds)) / RATE
    samples = 8000 * numpy.sin(2 * numpy.pi * hz * at)
    return TTSAudioRawFrame(samples.astype(numpy.int16).tobytes(), RATE, 1)


class Talker(FrameProcessor):
    """Takes turns with the caller."""

    def __init__(self):
        super().__init__()
        self.tones = iter(pitches)
        self.loud = self.quiet = 0
        self.caller_speaks = False
        self.utterances = 0

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self.hear(frame)
        elif isinstance(frame, InputDTMFFrame):
            say(key=frame.button.value)
            await self.broadcast_interruption()
            await self.push_frame(EndWorkerFrame())
        else:
            await self.push_frame(frame, direction)

    async def hear(self, frame):
        samples = numpy.frombuffer(frame.audio, numpy.int16).astype(float)
        if numpy.abs(samples).mean() >= LOUD:
            self.loud, self.quiet = self.loud + 1, 0
        else:
            self.loud, self.quiet = 0, self.quiet + 1
        if not self.caller_speaks and self.loud >= BEGINS:
            self.caller_speaks = True
            self.utterances += 1
            say(utterance=self.utterances)
            await self.broadcast_interruption()
        elif self.caller_speaks and self.quiet >= ENDS:
            self.caller_speaks = False
            hz = next(self.tones)
            say(answers=hz)
            await self.push_frame(tone(hz, 10))


app = FastAPI()


@app.websocket("/ws")
async def bot(websocket: WebSocket):
    await websocket.accept()
    kind, call = await parse_telephony_websocket(websocket)
    say(kind=kind, call=call.call_id)
    serializer = TwilioFrameSerializer(
        stream_sid=call.stream_id,
        call_sid=call.call_id,
        account_sid=account,
        auth_token=token,
        base_url=api,
    )
    transport = FastAPIWebsocketTransport(
        websocket=websocket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            serializer=serializer,
            # Half a second in each message, so that at least as much must be dropped at an interruption.
            audio_out_10ms_chunks=50,
        ),
    )
    worker = PipelineWorker(
        Pipeline([transport.input(), Talker(), transport.output()]),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
    )

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
    say(ended=call.call_id)


async def main():
    # What Pipecat itself considers wrong, such as an answer of the API that it does not expect.
    logger.remove()
    logger.add(lambda message: say(fault=message.record["message"]), level="WARNING")
    server = socket.create_server(("127.0.0.1", 0))
    say(port=server.getsockname()[1])
    await uvicorn.Server(uvicorn.Config(app, log_level="error")).serve(sockets=[server])


asyncio.run(main())
