"""µ-law (G.711) at 8 kHz, the audio of a stream."""

import array


def encode(sample):
    sign = 0x80 if sample < 0 else 0
    value = min(abs(sample), 32635) + 132
    exponent = value.bit_length() - 8
    return ~(sign | exponent << 4 | value >> exponent + 3 & 15) & 0xFF


def decode(octet):
    octet = ~octet & 0xFF
    value = ((octet & 15) << 3 | 132) << (octet >> 4 & 7)
    return 132 - value if octet & 0x80 else value - 132


DECODED = [decode(octet) for octet in range(256)]


def loudness(octets):
    """The mean amplitude."""
    return sum(abs(DECODED[octet]) for octet in octets) / max(len(octets), 1)


def from_wav(wav):
    """The samples of a mono WAV file with 16 bits, as eSpeak NG writes it to a pipe."""
    rate = int.from_bytes(wav[24:28], "little")
    data = wav[44:]
    samples = array.array("h", data[: len(data) // 2 * 2])
    # The mean of what falls into each new sample, so that higher frequencies do not fold down much.
    step = rate / 8000
    count = int(len(samples) / step)
    ranges = ((int(at * step), max(int((at + 1) * step), int(at * step) + 1)) for at in range(count))
    return bytes(encode(sum(samples[start:end]) // (end - start)) for start, end in ranges)
