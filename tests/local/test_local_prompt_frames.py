"""Frames are handed on at their marked packet, and else as aiortc does."""

from __future__ import annotations

import asyncio
import logging
import random

from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket

from overshoot_nb.local.prompt_frames import CAPACITY, PromptJitterBuffer, receive_promptly


def packets(frames, first=65_530, marked=True):
    """Frames as packets, numbered on beyond the largest number; each byte is a packet."""
    number = first
    for time, data in enumerate(frames):
        for i, byte in enumerate(data):
            packet = RtpPacket(sequence_number=number % 65_536, timestamp=time * 6_000)
            packet.marker = int(marked and i == len(data) - 1)
            packet._data = bytes([byte])
            yield packet
            number += 1


def received(some, buffer=None):
    """What comes out at each packet."""
    buffer = buffer or PromptJitterBuffer(capacity=CAPACITY, is_video=True)
    found = [buffer.add(packet)[1] for packet in some]
    return [frame.data if frame is not None else None for frame in found]


FRAMES = [b"abc", b"d", b"ef", b"ghij"]


def test_a_frame_comes_with_its_last_packet():
    expected = [None, None, b"abc", b"d", None, b"ef", None, None, None, b"ghij"]
    assert received(packets(FRAMES)) == expected


def test_without_marks_it_comes_with_the_next_one_s_first_packet():
    plain = received(packets(FRAMES, marked=False), JitterBuffer(CAPACITY, is_video=True))
    assert received(packets(FRAMES, marked=False)) == plain
    assert [frame for frame in plain if frame] == FRAMES[:-1]


def test_what_comes_out_of_order_is_put_in_order():
    # Within a frame, as a network may shuffle it.
    for seed in range(20):
        some = list(packets(FRAMES))
        middle = some[6:]
        random.Random(seed).shuffle(middle)
        found = [frame for frame in received(some[:6] + middle) if frame]
        assert found == FRAMES


def test_a_frame_with_a_hole_waits_for_the_packet_that_is_sent_again():
    a, b, c, d, e, f, *_ = packets(FRAMES)
    assert received([a, c, d, e, f, b]) == [None, None, None, None, None, b"abc"]


def test_a_receiver_that_is_another_is_left_alone(caplog):
    class Other:
        pass

    other = Other()
    with caplog.at_level(logging.WARNING):
        receive_promptly(other)
    assert "aiortc's receiver has changed" in caplog.text
    assert vars(other) == {}


def test_aiortc_s_receiver_takes_it(caplog):
    async def main():
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        receiver = peer.addTransceiver("video").receiver
        receive_promptly(receiver)
        await peer.close()
        return receiver._RTCRtpReceiver__jitter_buffer

    assert type(asyncio.run(main())) is PromptJitterBuffer
    assert caplog.records == []
