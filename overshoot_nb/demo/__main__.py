"""``python -m overshoot_nb.demo``: render the demo video and print its path."""

from __future__ import annotations

from .rendering import video

if __name__ == "__main__":
    print(video())
