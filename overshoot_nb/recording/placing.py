"""Where a recording goes: its path checked, and a file that takes its place there whole."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.replay_address import check_local


def check_path(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """The path of a file that may be written, absolute.

    Raises:
        ValidationError: it names no file, its folder is not there, or something else is.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ValidationError(f"path={path!r} is no path of a file, such as 'run.parquet'")
    check_local(path)
    # Absolute: a notebook may change its folder while the recording goes on.
    try:
        target = Path(os.fspath(path)).expanduser().resolve()
    except (ValueError, RuntimeError) as error:  # a null character; a home that nobody has
        raise ValidationError(f"path={path!r} cannot be used: {error}") from None
    if target.is_dir():
        raise ValidationError(f"{target} is a folder; name a file in it, such as run.parquet")
    if not target.parent.is_dir():
        raise ValidationError(f"the folder {target.parent} is not there; make it first")
    if target.exists() and not overwrite:
        raise ValidationError(f"{target} exists; overwrite=True replaces it")
    if target.exists() and not target.is_file():
        raise ValidationError(f"{target} is no ordinary file, which alone can be replaced")
    return target


@contextmanager
def placed(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """The path of a new file beside ``target``, which takes its place when the block is left.

    Where the block raises, ``target`` is what it was.

    Raises:
        ValidationError: meanwhile a file came to be there that is not to be replaced.
        OSError: it cannot be put there.
    """
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        yield new
        if overwrite:
            new.replace(target)
        else:
            check_path(target, overwrite=False)
            new.rename(target)
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Errors of the disk in plain words, with the path.

    Raises:
        OSError: of the kind it was.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        why = "there is no room left for it" if full else error.strerror or str(error)
        raise type(error)(
            error.errno, f"the recording cannot be written: {why}", str(target)
        ) from error
