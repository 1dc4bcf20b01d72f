"""The names that models go by: their own, and aliases that the one who serves them gave."""

from __future__ import annotations

from collections.abc import Mapping

from overshoot_nb.errors import ValidationError

from .answering import MODELS


class Catalogue:
    """The models and their aliases.

    A script that names a hosted model runs unchanged where that name is an alias. Answers name
    the model that really made them.

    Args:
        aliases: further names, each with the model that it stands for.
        unlisted: names that are understood and not offered: nobody is to take them for models
            that are here.

    Raises:
        ValidationError: an alias is empty, stands for no model, or is a model's own name.
    """

    def __init__(
        self,
        aliases: Mapping[str, str] | None = None,
        unlisted: Mapping[str, str] | None = None,
    ) -> None:
        self._unlisted = dict(unlisted or {})
        self._real = {name: name for name in MODELS}
        for alias, model in (aliases or {}).items():
            if not alias.strip() or alias in MODELS:
                raise ValidationError(f"alias {alias!r} is not valid: it must be a name of its own")
            if model not in MODELS:
                raise ValidationError(
                    f"alias {alias!r} stands for {model!r}, which is no model of the local "
                    f"engine; it has {', '.join(MODELS)}"
                )
            self._real[alias] = model

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, the models' own first."""
        return tuple(self._real)

    def resolve(self, name: str) -> str | None:
        """The model that a name stands for; None where there is none."""
        return self._real.get(name) or self._unlisted.get(name)

    def unknown(self, name: str) -> str:
        """What is said about a model that is not there."""
        return f"the local engine has no model {name!r}; it has {', '.join(self._real)}"
