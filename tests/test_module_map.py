"""The maps of folders name what is in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from overshoot_nb import analysis, recording, tuning


@pytest.mark.parametrize("folder", [analysis, recording, tuning], ids=lambda f: f.__name__)
def test_the_map_lists_every_module_once(folder):
    modules = {path.stem for path in Path(folder.__file__).parent.glob("*.py")} - {"__init__"}
    lines = re.findall(r"^    (\w+(?:, \w+)*) {2,}\S", folder.__doc__, re.MULTILINE)
    listed = [name for line in lines for name in line.split(", ")]
    assert len(listed) == len(set(listed))
    assert set(listed) == modules
