"""``StoredSample``: a sample and its pictures, as a store hands it out."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING

from overshoot_nb.errors import MissingDependencyError, ValidationError
from overshoot_nb.types import EncodedFrame, Mode, Sample

if TYPE_CHECKING:
    from PIL.Image import Image

#: A clip is shown as a strip of at most so many of its frames, each about so many pixels high.
_STRIP_FRAMES = 12
_STRIP_HEIGHT = 180
_STRIP_QUALITY = 85


class StoredSample:
    """A sample and its pictures, shown as a picture where a notebook shows its value.

    Attributes:
        sample: the sample itself, with all that is known of it.
    """

    __slots__ = ("sample",)

    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    @property
    def index(self) -> int:
        """The sample's index: column ``sample`` of the results."""
        return self.sample.index

    @property
    def mode(self) -> Mode:
        """``frame`` or ``clip``."""
        return self.sample.mode

    @property
    def media_time(self) -> float:
        """Time in the video, seconds since its first frame."""
        return self.sample.media_time

    @property
    def captured_at(self) -> datetime:
        """UTC wall clock of what is seen: see :class:`~overshoot_nb.types.Sample`."""
        return self.sample.captured_at

    @property
    def frames(self) -> tuple[EncodedFrame, ...]:
        """The frame, or the frames of the clip in time order; ``.data`` is JPEG bytes."""
        return self.sample.frames

    @property
    def video(self) -> bytes | None:
        """The clip as one MP4 where the model was sent one, else None."""
        return self.sample.video

    @property
    def nbytes(self) -> int:
        """Bytes of the encoded pictures."""
        return self.sample.nbytes

    def image(self, i: int = 0) -> Image:
        """A frame of the sample as a Pillow image; -1 is the last of a clip.

        Raises:
            MissingDependencyError: Pillow is not installed.
            IndexError: the sample has no such frame.
            ValidationError: it is a broken JPEG.
        """
        try:
            from PIL import Image, UnidentifiedImageError
        except ImportError as error:
            raise MissingDependencyError(
                "image() needs Pillow: pip install pillow (.frames has the JPEG bytes without it)"
            ) from error
        if not -len(self.frames) <= i < len(self.frames):
            raise IndexError(f"sample {self.index} has {self._counted()}, no frame {i}")
        try:
            return Image.open(BytesIO(self.frames[i].data))
        except UnidentifiedImageError:
            raise ValidationError(f"sample {self.index}: frame {i} is a broken JPEG") from None

    def _repr_jpeg_(self) -> bytes | None:
        if not self.frames:
            return None
        return self.frames[0].data if len(self.frames) == 1 else _strip(self.frames)

    def __repr__(self) -> str:
        size = f", {self.frames[0].width}x{self.frames[0].height}" if self.frames else ""
        return f"<sample {self.index} at {self.media_time:g} s: {self._counted()}{size}>"

    def _counted(self) -> str:
        return "1 frame" if len(self.frames) == 1 else f"{len(self.frames)} frames"


def _strip(frames: tuple[EncodedFrame, ...]) -> bytes:
    """Frames side by side as one JPEG: a few of them, evenly chosen, made smaller."""
    import numpy as np
    import simplejpeg

    count = min(len(frames), _STRIP_FRAMES)
    step = (len(frames) - 1) / max(count - 1, 1)
    shown = [frames[round(k * step)] for k in range(count)]
    # JPEG decodes to an eighth, a quarter... of its size at a fraction of the cost.
    pictures = [
        simplejpeg.decode_jpeg(f.data, min_height=min(f.height, _STRIP_HEIGHT)) for f in shown
    ]
    height = max(p.shape[0] for p in pictures)
    strip = np.hstack([np.pad(p, ((0, height - p.shape[0]), (0, 0), (0, 0))) for p in pictures])
    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(strip), quality=_STRIP_QUALITY)
    return data
