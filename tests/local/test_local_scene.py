from __future__ import annotations

import numpy as np
import pytest

from overshoot_nb.local.scene import PALETTE, colours, faces, measure, motion


def flat(colour, size=(72, 128)):
    return np.full((*size, 3), colour, np.uint8)


@pytest.mark.parametrize("name", PALETTE)
def test_each_colour_of_the_palette_has_its_name(name):
    (only,) = colours(flat(PALETTE[name]))
    assert (only.name, only.share) == (name, 1.0)
    assert only.hex == "#{:02x}{:02x}{:02x}".format(*PALETTE[name])


def test_shares_add_up():
    picture = flat((255, 255, 255))
    picture[:, :32] = (220, 30, 30)
    found = {c.name: c.share for c in colours(picture)}
    assert found == {"white": pytest.approx(0.75, abs=0.02), "red": pytest.approx(0.25, abs=0.02)}


def test_light():
    assert measure([flat(0)]).brightness == 0
    assert measure([flat(255)]).brightness == 1
    half = flat(0)
    half[:36] = 255
    seen = measure([half])
    assert (seen.brightness, seen.contrast) == (pytest.approx(0.5), pytest.approx(0.5))
    assert (seen.width, seen.height, seen.frames) == (128, 72, 1)


def test_sharpness_falls_with_blur():
    import cv2

    noise = np.random.default_rng(1).integers(0, 255, (180, 320, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    assert measure([noise]).sharpness > 0.9 > 0.3 > measure([blurred]).sharpness
    assert measure([flat(90)]).sharpness == 0


def test_motion_of_one_picture_is_unknown_and_cuts_are_no_motion():
    assert motion([flat(10)]) == (None, None)
    assert motion([flat(10), flat(10)]) == (0.0, 0)
    assert motion([flat(10), flat(240), flat(240)]) == (0.0, 1)
    moved = flat(10)
    moved[:, :64] = 60
    share, cuts = motion([flat(10), moved])
    assert (share, cuts) == (pytest.approx(0.5, abs=0.02), 0)


def test_no_face_in_a_flat_picture():
    assert faces(flat(128, (360, 640))) == []
