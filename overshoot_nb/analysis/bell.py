"""A short sound, and the note that rings it in a notebook: nothing is fetched."""

from __future__ import annotations

import base64
import functools
import io
import math
import wave

from overshoot_nb.support.html import BAR, escaped, fragment

from .notebook_output import Note

#: Samples a second of the sound: enough for its highest tone.
RATE = 8000
RING_SECONDS = 0.6
#: The tones in hertz, each with its share of the sound: a fifth and its octave.
_TONES = ((880.0, 0.6), (1320.0, 0.3), (1760.0, 0.1))


@functools.cache
def bell_wav() -> bytes:
    """The sound as a WAV file, 8 bits a sample, one channel."""
    count = round(RATE * RING_SECONDS)
    # Silent at its start and end, so that it does not click.
    sound = bytearray()
    for n in range(count):
        t = n / RATE
        loudness = min(1.0, t / 0.005) * math.exp(-7 * t) * (1 - n / count)
        tone = sum(share * math.sin(2 * math.pi * hertz * t) for hertz, share in _TONES)
        sound.append(round(128 + 120 * loudness * tone))
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(1)
        writer.setframerate(RATE)
        writer.writeframes(bytes(sound))
    return file.getvalue()


def bell_note(line: str, *, ringing: bool) -> Note:
    """A visible line, and where it rings the sound, which plays as soon as it is shown."""
    sound = ""
    if ringing:
        data = base64.b64encode(bell_wav()).decode()
        sound = f'<audio autoplay src="data:audio/wav;base64,{data}"></audio>'
    markup = fragment(f"<strong>Alert</strong> {escaped(line)}{sound}", f'role="alert" {BAR}')
    return Note(f"Alert: {line}", markup)
