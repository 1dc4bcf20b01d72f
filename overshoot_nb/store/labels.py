"""``Labels``: what the answers should be."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from overshoot_nb.errors import ValidationError

from .fields import comparable, field_name
from .label_values import check_field, check_sample, cut, expected_fields, json_value

if TYPE_CHECKING:
    import pandas as pd


class _Missing:
    """The type of :data:`MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"  # copies and pickles of it are itself


#: Nothing was given, where None is a value.
MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of the right answer about one field of a sample.

    Attributes:
        sample: index of the sample.
        field: a field of the answer, nested ones with dots, or None for the whole of it.
        expected: the right value, or ``MISSING``.
        rejected: values that were found wrong.
        labelled_at: UTC wall clock of the last change.
    """

    sample: int
    field: str | None
    expected: Any
    rejected: tuple[Any, ...]
    labelled_at: datetime

    def rejects(self, value: Any) -> bool:
        """Whether a value was found wrong."""
        return any(comparable(value) == comparable(wrong) for wrong in self.rejected)


class Labels:
    """What the answers should be, by sample and field. Iterates over :class:`Label`, by sample.

    For each sample and field there is an expected value, or values that were found wrong: these
    judge answers that say the same, and no others. Any thread may write while others read.

    Args:
        changed: called after each change, on the thread that made it.
    """

    def __init__(self, changed: Callable[[], object] = lambda: None) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._labels: dict[int, dict[str | None, Label]] = {}
        #: Grows with every change, so that what was made of them can be kept until then.
        self.changes = 0

    # ---- writing ----

    def set(self, sample: int, field: str | None, expected: Any) -> None:
        """Say what is right. Forgets what was found wrong before, but for structured answers that
        were wrong as a whole: what is right of a free text says nothing about those.

        Args:
            sample: index of the sample.
            field: a field of the answer, or None for the whole of an unstructured one.
            expected: a JSON value; tuples and sets count as lists.

        Raises:
            ValidationError: a parameter cannot be used.
        """
        self.set_fields(sample, {field: expected})

    def set_fields(self, sample: int, expected: Mapping[str | None, Any]) -> None:
        """Say what is right in several fields of a sample; see :meth:`set`.

        Raises:
            ValidationError: a parameter cannot be used; none was labelled.
        """
        sample, now = check_sample(sample), datetime.now(UTC)
        self._put([self._right(sample, check_field(f), v, now) for f, v in expected.items()])

    def reject(self, sample: int, field: str | None, value: Any) -> None:
        """Say that a value is wrong. What was expected stays so, unless it is just this.

        Raises:
            ValidationError: a parameter cannot be used.
        """
        sample, field, value = check_sample(sample), check_field(field), json_value(value)
        with self._lock:
            known = self._labels.setdefault(sample, {}).get(field)
            expected, rejected = (known.expected, known.rejected) if known else (MISSING, ())
            if comparable(expected) == comparable(value):
                expected = MISSING
            if known is None or not known.rejects(value):
                rejected = (*rejected, value)
            label = Label(sample, field, expected, rejected, datetime.now(UTC))
            self._labels[sample][field] = label
            self.changes += 1
        self._changed()

    def accept(self, sample: int, field: str | None, value: Any) -> None:
        """Take back that a value is wrong. Nothing where it was not said to be."""
        with self._lock:
            known = self._labels.get(sample, {}).get(field)
            if known is None or not known.rejects(value):
                return
            same = comparable(value)
            rejected = tuple(wrong for wrong in known.rejected if comparable(wrong) != same)
            if rejected or known.expected is not MISSING:
                label = Label(sample, field, known.expected, rejected, datetime.now(UTC))
                self._labels[sample][field] = label
            else:
                del self._labels[sample][field]
                if not self._labels[sample]:
                    del self._labels[sample]
            self.changes += 1
        self._changed()

    def update(self, expected: Mapping[int, Any] | Labels) -> None:
        """Say what is right about many samples at once: all or, where one cannot be used, none.

        Args:
            expected: the right answer of each sample; of a structured one a dict of (some of) its
                fields. Or other labels, which replace those of the same sample and field.

        Raises:
            ValidationError: a sample or value cannot be used.
        """
        if isinstance(expected, Labels):
            self._put(list(expected))
            return
        if not isinstance(expected, Mapping):
            raise ValidationError(
                f"labels are given as a mapping of sample to answer, not as {cut(expected)}"
            )
        now = datetime.now(UTC)
        self._put(
            [
                self._right(check_sample(sample), field, value, now)
                for sample, answer in expected.items()
                for field, value in expected_fields(answer, None).items()
            ]
        )

    def remove(self, sample: int, field: str | _Missing | None = MISSING) -> None:
        """Forget a label; without ``field`` all of the sample. Nothing where there is none."""
        with self._lock:
            of_sample = self._labels.get(sample)
            if of_sample is None or (not isinstance(field, _Missing) and field not in of_sample):
                return
            if isinstance(field, _Missing):
                of_sample.clear()
            else:
                del of_sample[field]
            if not of_sample:
                del self._labels[sample]
            self.changes += 1
        self._changed()

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._labels.clear()
            self.changes += 1
        self._changed()

    def _right(self, sample: int, field: str | None, expected: Any, now: datetime) -> Label:
        value = json_value(expected)
        known = self.get(sample, None) if field is None and not isinstance(value, dict) else None
        wrong = tuple(w for w in known.rejected if isinstance(w, dict)) if known else ()
        return Label(sample, field, value, wrong, now)

    def _put(self, labels: list[Label]) -> None:
        with self._lock:
            for label in labels:
                self._labels.setdefault(label.sample, {})[label.field] = label
            self.changes += 1
        self._changed()

    # ---- reading ----

    @property
    def samples(self) -> list[int]:
        """Indices of the labelled samples, in order."""
        with self._lock:
            return sorted(self._labels)

    @property
    def fields(self) -> list[str | None]:
        """The labelled fields, in the order in which samples have them."""
        return list(dict.fromkeys(label.field for label in self))

    def get(self, sample: int, field: str | None = None) -> Label | None:
        """What is known of a field of a sample, None where nothing is."""
        with self._lock:
            return self._labels.get(sample, {}).get(field)

    def of(self, sample: int) -> dict[str | None, Label]:
        """What is known of a sample, by field."""
        with self._lock:
            return dict(self._labels.get(sample, {}))

    def __contains__(self, sample: object) -> bool:
        return sample in self._labels

    def __iter__(self) -> Iterator[Label]:
        with self._lock:
            labels = [label for s in sorted(self._labels) for label in self._labels[s].values()]
        return iter(labels)

    def __len__(self) -> int:
        """Labels: one for each labelled field of a sample."""
        with self._lock:
            return sum(map(len, self._labels.values()))

    def __bool__(self) -> bool:
        return bool(self._labels)

    @property
    def df(self) -> pd.DataFrame:
        """One row for each label: sample, field, expected, rejected (a list), labelled_at (UTC).

        ``expected`` is NaN where only wrong values are known, and None where null is right.
        """
        import pandas as pd

        from .columns import TEXT, TIMESTAMP

        labels = list(self)
        return pd.DataFrame(
            {
                "sample": pd.Series([x.sample for x in labels], dtype="int64"),
                "field": pd.Series([field_name(x.field) for x in labels], dtype=TEXT),
                "expected": pd.Series(
                    [math.nan if x.expected is MISSING else x.expected for x in labels],
                    dtype=object,
                ),
                "rejected": pd.Series([list(x.rejected) for x in labels], dtype=object),
                "labelled_at": pd.Series([x.labelled_at for x in labels], dtype=TIMESTAMP),
            }
        )

    def __repr__(self) -> str:
        names = ", ".join(map(field_name, self.fields))
        return f"Labels({len(self)} of {len(self._labels)} samples{f': {names}' if names else ''})"

    # ---- keeping ----

    def to_json(self) -> str:
        """All labels as JSON text, for :meth:`from_json`."""
        rows = []
        for label in self:
            row: dict[str, Any] = {"sample": label.sample, "field": label.field}
            if label.expected is not MISSING:
                row["expected"] = label.expected
            if label.rejected:
                row["rejected"] = list(label.rejected)
            rows.append({**row, "labelled_at": label.labelled_at.isoformat()})
        return json.dumps({"labels": rows}, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, changed: Callable[[], object] = lambda: None) -> Labels:
        """What :meth:`to_json` wrote. ``stream.labels.update(...)`` takes it.

        Raises:
            ValidationError: it is something else.
        """
        try:
            read = [
                Label(
                    check_sample(row["sample"]),
                    check_field(row["field"]),
                    json_value(row["expected"]) if "expected" in row else MISSING,
                    tuple(json_value(value) for value in row.get("rejected", [])),
                    datetime.fromisoformat(row["labelled_at"]).astimezone(UTC),
                )
                for row in json.loads(text)["labels"]
            ]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValidationError(
                f"these are no labels as to_json() writes them: {error}"
            ) from None
        labels = cls()
        labels._put(read)
        labels._changed = changed
        return labels
