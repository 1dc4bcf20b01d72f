"""DataFrames have the accessor, whoever imports what first."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDERS = list(itertools.permutations(["polars", "pandas", "overshoot_nb"]))
CHECK = "print(type(pandas.DataFrame({'a': [1]}).overshoot).__name__)"


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_rows_have_the_accessor_in_any_order_of_imports(order):
    imports = f"import {', '.join(order)}"
    made = "type(overshoot_nb.store.table.ResultTable().df.overshoot).__name__"
    lines = [imports, "import overshoot_nb.store.table", f"print({made})", CHECK]
    assert run("; ".join(lines)) == ["OvershootAccessor"] * 2


@pytest.mark.parametrize(
    "way",
    [
        "import overshoot_nb.analysis",
        "overshoot_nb.load",
        "from IPython.core.interactiveshell import InteractiveShell as S; "
        "S().run_line_magic('load_ext', 'overshoot_nb')",
    ],
    ids=["analysis", "first name", "load_ext"],
)
def test_rows_from_elsewhere_have_it_where_pandas_came_last(way):
    # A part of the package that was imported before must not keep it away.
    imports = "import overshoot_nb, overshoot_nb.stream, polars, pandas"
    assert run(f"{imports}; {way}; {CHECK}")[-1] == "OvershootAccessor"


def test_pandas_first_needs_nothing_more():
    assert run(f"import pandas, overshoot_nb; {CHECK}") == ["OvershootAccessor"]


def test_the_package_alone_imports_no_pandas_and_leaves_the_import_system_alone():
    code = (
        "import sys; before = list(sys.meta_path); import overshoot_nb, overshoot_nb.stream; "
        "print('pandas' in sys.modules, sys.meta_path == before)"
    )
    assert run(code) == ["False True"]


def test_type_checkers_see_its_methods(tmp_path):
    code = tmp_path / "snippet.py"
    code.write_text(
        "import pandas as pd\n"
        "from overshoot_nb.analysis import of\n"
        "def events(df: pd.DataFrame) -> pd.DataFrame:\n"
        "    return of(df).events('out.people > 3')\n"
        "reveal_type(of)\n"
        "of(pd.DataFrame()).no_such_method()\n"
    )
    # From there, as the static checks are run: what they know of pandas is not worked out again.
    command = [sys.executable, "-m", "mypy", str(code)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert "OvershootAccessor" in done.stdout
    (error,) = [line for line in done.stdout.splitlines() if "error:" in line]
    assert '"no_such_method"' in error


def run(code: str) -> list[str]:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()
