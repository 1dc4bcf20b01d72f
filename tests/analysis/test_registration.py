"""DataFrames have the accessor, whoever imports what first."""

import subprocess
import sys

import pytest

PANDAS_FIRST = "import pandas as pd, overshoot_nb"
PANDAS_LAST = "import overshoot_nb, pandas as pd"
ONLY_A_PART = "import overshoot_nb, pandas.api.types, pandas as pd"


@pytest.mark.parametrize("imports", [PANDAS_FIRST, PANDAS_LAST, ONLY_A_PART])
def test_rows_from_elsewhere_have_the_accessor(imports):
    check = "print(type(pd.DataFrame({'a': [1]}).overshoot).__name__)"
    done = run(f"{imports}; {check}")
    assert done.stdout.strip() == "OvershootAccessor", done.stderr


def test_the_package_alone_imports_no_pandas():
    done = run("import sys, overshoot_nb; print('pandas' in sys.modules)")
    assert done.stdout.strip() == "False", done.stderr


def test_nothing_is_left_in_the_import_system():
    done = run(
        "import overshoot_nb, sys, pandas; "
        "print([f for f in sys.meta_path if 'overshoot' in type(f).__module__])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)
