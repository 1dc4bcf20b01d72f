"""``python -m overshoot_nb`` is ``overshoot-nb``."""

import sys

from .cli import main

sys.exit(main())
