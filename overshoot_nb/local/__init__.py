"""The embedded engine: a server for both API surfaces, with models that run on this machine.

It needs no key and no network. In-process it is opened with `open_transport`, on a port with
`serve`; whoever asks it cannot tell the difference.

Models
======

- ``local/read`` reads text (RapidOCR). Without a schema it answers with the text in reading
  order, a row a line; with one, with typed fields.
- ``local/scene`` measures brightness, contrast, named colours, sharpness, motion and scene cuts
  (over the pictures of a clip), and looks for upright frontal faces, which it often misses.
- ``local/auto`` has the skills of both and chooses.

They are not language models. They never invent: what they cannot see is null where the schema
allows null, absent where it is not required, and otherwise an error 422 that names what they can
do. Text and faces are looked for in the newest picture of a request.

How a prompt is routed (``local/auto``, no schema)
==================================================

The words of the prompt choose the skills: read, text, sign, title, score, clock, time, ...: text;
bright, dark, light, contrast; colour; sharp, blurred, focus; motion, moving, still, cut; face(s).
One skill, "text", answers with the bare text; several answer a sentence each, in that order.
"Describe", "caption", "what do you see", "what is happening" get all skills. Any other prompt is
refused. ``local/read`` always reads, ``local/scene`` measures everything unless words choose.

How a schema is filled
======================

Property by property; the first rule whose value fits the property's schema wins:

1. The property has the name of a field (`skills.FIELDS`: text, lines, words, boxes, has_text,
   brightness, dark, contrast, dominant_colour, dominant_colours, sharpness, motion, moving,
   scene_cuts, face_count, face_present, face_boxes, ...) or of one of its aliases, and its type.
   British and American spelling, snake and camel case are one.
2. ``pattern``: the first text that matches it as a whole: lines, then boxes, then words. All
   matching for one question ends within half a second, else it is refused (422).
3. ``enum``, ``const``: the value that is visible: as printed, else in another case, else with a
   misread letter in a value of six letters or more. A longer value hides one that is part of it.
4. Else the property's label: text in quotes in its description, else its title or the words of
   its name. The value stands behind the label in its box, right of it, or below it; a number also
   left of it. "48,210" is a number; "A12" and "12:30" are not.
5. Arrays: objects from the rows of a table whose header shows the labels of their properties, or,
   where these have ``pattern`` or ``enum``, from each row; strings by ``pattern`` or ``enum``;
   ``numbers``.

Where several texts match a pattern or enum, the one on the label's row is preferred.

Streams (v0.2)
==============

``POST /streams`` with a source of type ``webrtc`` (needs aiortc) answers the SDP offer, on the
loopback too, and the first video of the connection is watched as ``processing`` says: frame mode
looks at the newest frame at once and then every ``interval_seconds``, never twice at the same
one; clip mode every ``delay_seconds`` at the last ``clip_length_seconds``, at most 64 pictures
and 24 megapixels of them (longer clips have theirs further apart). The clock is the arrival of
frames. Pictures larger than 1280x720 are scaled down. A stream asks one thing at a time, and the
newest sample replaces one that waits. Sources of type ``native`` are accepted and stay pending,
for there is no LiveKit server here; ``livekit`` is refused (501).

Results are pushed to every listener of ``/ws/streams/{id}``: first those of the last 60 s (at
most 256), then each new one, once and in order. Beside the service's fields a result has
``created_at``. What a model cannot answer is a result with ``ok`` false and the reason in
``error``. A listener that does not keep up is closed with 1013 and may come back. Streams end
with close code 1001 and one of the service's reasons, or ``server_closed`` with the engine.

Leases (45 s), media, inferences and results are on threads of their own: a server that is stopped
and started again finds its streams running. The pictures of the last results are kept as JPEGs
(64 MiB) for ``POST /chat/completions/clip``, which takes a ``temperature`` and has no use for it.
A key may have 5 streams, all together 64; seconds are counted, and cost nothing.

Limits
======

20 MiB a request (1 MiB where it has no pictures), a million letters of text; data: URLs only
(JPEG, PNG, WebP, MP4). All its pictures and videos together: 64 pictures, 140 megapixels, 40 each;
7,200 frames of videos, 2,000 megapixels, 600 seconds (`overshoot_nb.config`, ``ENGINE_...``). It is
worked on for 20 s at most, and no longer than its client waits. One question is answered at a
time, requests and streams in turn; 32 requests may wait, else 429. A JSON schema may have 2,000
parts in 12 levels, an SDP offer 32 KiB, 64 candidates and 8 parts; streams are looked at no more
than 60 times a second. Keys are ASCII.

On a port, a request's Host must be the loopback or a name that was given, its Origin, where it has
one, a page of the same host or one that was given, and its body application/json; else 403 or 415.
A request's head must come within 10 s, its body within 60 s (else 408), a WebSocket's key within
10 s; of more than 128 connections that have said nothing whole the oldest is closed.
``usage`` counts words and punctuation marks of the prompt and the answer, and ``max_tokens`` and
``max_output_tokens`` cut by the same count; pictures count nothing.
"""

from .answering import MODELS
from .opening import close_engine, open_socket, open_transport
from .serving import serve

__all__ = ["MODELS", "close_engine", "open_socket", "open_transport", "serve"]
