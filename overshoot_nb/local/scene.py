"""The skill that measures pictures: light, colour, sharpness, motion, cuts and faces.

Plain measurements in numpy and OpenCV; no model guesses here, except the face cascade, which is
weak: it finds upright frontal faces from about 32 pixels on, misses many, and sometimes sees one
in a pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .work import go_on

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .pictures import Picture

#: The names that a colour can have, and the sRGB value of each. A pixel has the name of the
#: nearest one in CIELAB.
PALETTE: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "dark grey": (64, 64, 64),
    "grey": (128, 128, 128),
    "light grey": (192, 192, 192),
    "white": (255, 255, 255),
    "red": (220, 30, 30),
    "dark red": (110, 15, 20),
    "orange": (245, 140, 20),
    "brown": (120, 75, 40),
    "beige": (225, 200, 160),
    "yellow": (245, 225, 40),
    "green": (40, 160, 60),
    "dark green": (15, 75, 35),
    "cyan": (40, 200, 210),
    "blue": (40, 90, 220),
    "dark blue": (20, 30, 90),
    "light blue": (140, 190, 240),
    "purple": (120, 50, 160),
    "pink": (240, 140, 180),
}

#: A pixel has changed when its grey value (of 0..255) moved by more than this.
CHANGE = 12
#: A cut: more than this share of the pixels changed, and the colours as a whole did, too.
CUT_CHANGED = 0.5
CUT_HISTOGRAM = 0.4
#: The least motion that counts as moving.
MOVING = 0.005


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour of the palette, its mean value in the picture and its share of the pixels."""

    name: str
    hex: str
    share: float


@dataclass(frozen=True, slots=True)
class Scene:
    """Measurements of the newest picture; of motion and cuts, over all of a clip's.

    Attributes:
        brightness: mean luma, 0 (black) to 1 (white).
        contrast: standard deviation of luma, 0..1 (0.5 is half black and half white).
        sharpness: 0..1, v / (v + 500) of the variance v of the Laplacian at 640 pixels' width.
        colours: named colours by share, largest first, those above 2 %.
        motion: mean share of pixels that changed from frame to frame, 0..1; None for one picture.
        cuts: number of scene cuts between the frames; None for one picture.
        width, height: size of the newest picture in pixels.
        frames: number of pictures.
    """

    brightness: float
    contrast: float
    sharpness: float
    colours: tuple[Colour, ...]
    motion: float | None
    cuts: int | None
    width: int
    height: int
    frames: int


def measure(pictures: Sequence[Picture]) -> Scene:
    """Everything but faces, a few milliseconds for a picture of 640x360."""
    import cv2

    newest = pictures[-1]
    height, width = newest.shape[:2]
    grey = cv2.cvtColor(newest, cv2.COLOR_RGB2GRAY)
    if width > 640:
        size = (640, max(1, round(height * 640 / width)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    variance = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    moved, cuts = motion(pictures)
    return Scene(
        brightness=round(float(grey.mean()) / 255, 4),
        contrast=round(float(grey.std()) / 255, 4),
        sharpness=round(variance / (variance + 500), 4),
        colours=colours(newest),
        motion=moved,
        cuts=cuts,
        width=width,
        height=height,
        frames=len(pictures),
    )


@lru_cache(maxsize=1)
def _palette_lab() -> NDArray[np.float32]:
    import cv2
    import numpy as np

    rgb = np.array([list(PALETTE.values())], np.uint8)
    lab: NDArray[np.float32] = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    return lab


def colours(picture: Picture) -> tuple[Colour, ...]:
    """The named colours of a picture, largest share first."""
    import cv2
    import numpy as np

    small = cv2.resize(picture, (96, 54), interpolation=cv2.INTER_AREA)
    pixels = small.reshape(-1, 3)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 1, 3)
    nearest = ((lab - _palette_lab()[None]) ** 2).sum(axis=2).argmin(axis=1)
    names = list(PALETTE)
    found = []
    for index in np.unique(nearest):
        mine = pixels[nearest == index]
        share = len(mine) / len(pixels)
        if share >= 0.02:
            r, g, b = (round(float(v)) for v in mine.mean(axis=0))
            found.append(Colour(names[index], f"#{r:02x}{g:02x}{b:02x}", round(share, 3)))
    return tuple(sorted(found, key=lambda colour: -colour.share))


def motion(pictures: Sequence[Picture]) -> tuple[float | None, int | None]:
    """(mean share of changed pixels between neighbours, number of cuts); Nones for one picture.

    A cut is not motion: neighbours on its two sides are left out of the mean.
    """
    import cv2
    import numpy as np

    if len(pictures) < 2:
        return None, None
    shares: list[float] = []
    cuts = 0
    before: tuple[Any, Any] | None = None
    for picture in pictures:
        go_on()
        small = cv2.resize(picture, (160, 90), interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.int16)
        quantised = np.right_shift(small.astype(np.int32), 6)
        code = (quantised[..., 0] << 4) | (quantised[..., 1] << 2) | quantised[..., 2]
        histogram = np.bincount(code.ravel(), minlength=64) / code.size
        if before is not None:
            share = float((np.abs(grey - before[0]) > CHANGE).mean())
            apart = float(np.abs(histogram - before[1]).sum()) / 2
            if share > CUT_CHANGED and apart > CUT_HISTOGRAM:
                cuts += 1
            else:
                shares.append(share)
        before = grey, histogram
    return round(sum(shares) / len(shares), 4) if shares else 0.0, cuts


@lru_cache(maxsize=1)
def _cascade() -> Any:
    import cv2

    data: Any = vars(cv2)["data"]  # a submodule that the type stubs lack
    return cv2.CascadeClassifier(data.haarcascades + "haarcascade_frontalface_default.xml")


def faces(picture: Picture) -> list[tuple[int, int, int, int]]:
    """Boxes (x, y, width, height) of frontal faces, in pixels of the picture, left to right."""
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    # Large pictures are searched at 960 pixels: the time grows with the area.
    scale = min(1.0, 960 / max(grey.shape))
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = _cascade().detectMultiScale(grey, 1.1, 6, minSize=(32, 32))
    return sorted(tuple(round(int(v) / scale) for v in box) for box in found)
