"""A video to try things on: 36 seconds of a basketball game whose every text is known.

    path = demo.video()
    df = overshoot_nb.analyze(path, demo.PROMPT, output_schema=demo.SCHEMA)
    demo.score(df)

`truth` says what is on screen at a moment; `score` compares a table of answers with it.
"""

from .answers_scored import score
from .rendering import video
from .timeline import DURATION, FPS, PROMPT, SCHEMA, changing, truth

__all__ = ["DURATION", "FPS", "PROMPT", "SCHEMA", "changing", "score", "truth", "video"]
