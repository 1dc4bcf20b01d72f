"""From rows to findings: ``df.overshoot``, live outputs and alerts.

Importing it gives every DataFrame the accessor. :func:`of` is the accessor for type checkers, which
cannot see what is registered: ``of(df).events("out.people > 3")`` is ``df.overshoot.events(...)``.
"""

from .accessor import OvershootAccessor, of

__all__ = ["OvershootAccessor", "of"]
