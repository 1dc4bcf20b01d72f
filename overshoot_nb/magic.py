"""The ``%overshoot`` magic: parse, then delegate to :mod:`overshoot_nb.interactive`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, get_args

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class

from . import config, interactive
from .errors import OvershootError
from .prompts import PromptVersion
from .redaction import hidden_line, redact
from .settings import StreamParameters
from .stream import Stream
from .types import ResponseFormat, SameFrame, Transport

__all__ = ["OvershootMagics"]


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of ending the kernel."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%overshoot: {redact(message)}; `%overshoot --help` shows every form")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _HelpShown


class _HelpShown(Exception):
    """--help has printed."""


def _start_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="overshoot",
        # Said here because parse_intermixed_args formats a usage of its own twice.
        usage="%%overshoot source [prompt] [options]",
        description="Watch a video and ask about it: the stream runs on while you work.",
        epilog="also: %overshoot status | models | stop [NAME or stream id]",
    )
    add = parser.add_argument
    add("source", help="file, URL (http, rtsp, rtmp, m3u8), camera or camera:1")
    add("prompt", nargs="*", help="what to ask; in a %%%%overshoot cell, the cell's body")
    add(
        "--prompt-file",
        metavar="FILE",
        help="TOML file with prompt, model, schema and limits, as PromptVersion.save() writes it; "
        "what is given beside it (a prompt, -m, --schema) wins over what it says",
    )
    add("-o", "--out", metavar="NAME", help="bind the stream to this name")
    add("-m", "--model", help="model name; see %%overshoot models")
    add("--mode", choices=("frame", "clip"), help="frame, or clip when a clip option is given")
    add(
        "--interval",
        type=float,
        metavar="SECONDS",
        help=f"frame mode: seconds between frames (default {config.INTERVAL_SECONDS})",
    )
    add("--fps", type=int, help=f"clip mode: frames a second (default {config.TARGET_FPS})")
    add(
        "--clip",
        type=float,
        metavar="SECONDS",
        help=f"clip mode: length of a clip (default {config.CLIP_LENGTH_SECONDS})",
    )
    add(
        "--delay",
        type=float,
        metavar="SECONDS",
        help=f"clip mode: from one clip's start to the next's (default {config.DELAY_SECONDS})",
    )
    add(
        "--schema",
        metavar="JSON",
        help="JSON schema of the answer: a variable's name, a .json file, or JSON text",
    )
    add("--system", metavar="TEXT", help="text of a system message before the prompt")
    add(
        "--extra-body",
        metavar="JSON",
        help='further fields of each request, like {"seed": 7}: a variable, a .json file or JSON',
    )
    add(
        "--response-format",
        choices=get_args(ResponseFormat),
        help="how a schema is asked for (default auto)",
    )
    add(
        "--transport",
        choices=get_args(Transport),
        help="how video goes to a v0.2 server (default webrtc)",
    )
    add(
        "--same-frame",
        choices=get_args(SameFrame),
        help="a sample of a file that shows the picture of the one before: copy its answer, or ask "
        f"again (default {config.SAME_FRAME})",
    )
    add("--record", metavar="FILE", help="keep the run in this Parquet file, as stream.record()")
    add("--overwrite", action="store_true", help="replace that file where there is one")
    return parser


@magics_class
class OvershootMagics(Magics):
    """``%overshoot`` and ``%%overshoot``."""

    @line_cell_magic
    def overshoot(self, line: str, cell: str | None = None) -> object:
        """Ask a vision-language model about a video.

        Forms::

            %overshoot SOURCE "PROMPT" [-o NAME] [--model M] [--schema JSON]
                       [--mode frame|clip] [--interval S] [--fps N] [--clip S] [--delay S]
                       [--transport webrtc|native] [--same-frame copy|ask]
                       [--record FILE [--overwrite]]
            %overshoot SOURCE --prompt-file FILE [options]
            %overshoot status              the streams that were started, and their figures
            %overshoot models              the models that can be asked
            %overshoot stop [NAME|ID]      end one stream, or all

            %%overshoot SOURCE [options]
            the prompt, in as many lines as it takes

        ``--prompt-file`` takes prompt, model, schema and limits from a file that
        ``stream.prompts[1].save("p.toml")`` wrote; what is given beside it wins over the file.

        The stream is the value (``_``, or NAME with ``-o``); ``_.df`` grows while it runs.
        ``%overshoot --help`` describes each option.
        """
        line = hidden_line(line)
        try:
            words = _split(line)
            command = _COMMANDS.get(words[0]) if words and cell is None else None
            if command is not None:
                return command(self, words[1:])
            return self._start(words, cell)
        except _HelpShown:
            return None
        except (OvershootError, OSError) as error:
            # One clear line in the notebook, not a traceback through this package.
            raise UsageError(f"{type(error).__name__}: {redact(str(error))}") from error

    @property
    def _names(self) -> dict[str, Any]:
        """The user's variables."""
        return self.shell.user_ns if self.shell is not None else {}

    def _start(self, words: list[str], cell: str | None) -> Stream:
        args = _start_parser().parse_intermixed_args(words)
        prompt = " ".join(args.prompt) if cell is None else cell.strip()
        if cell is not None and args.prompt:
            raise UsageError("%%overshoot takes its prompt from the cell, so the line has none")
        if not prompt and args.prompt_file is None:
            raise UsageError('%overshoot needs a prompt: %overshoot clip.mp4 "Read the signs"')
        parameters: StreamParameters = {
            "mode": args.mode,
            "interval_seconds": args.interval,
            "target_fps": args.fps,
            "clip_length_seconds": args.clip,
            "delay_seconds": args.delay,
            "output_schema": self._object("--schema", args.schema, "a JSON schema"),
            "system": args.system,
            "extra_body": self._object("--extra-body", args.extra_body, "this"),
            "response_format": args.response_format or "auto",
            "transport": args.transport,
            "same_frame": args.same_frame or config.SAME_FRAME,
        }
        if args.out is not None and not args.out.isidentifier():
            raise UsageError(f"-o {redact(args.out)}: not a name that a variable can have")
        kept = None if args.prompt_file is None else _kept(args.prompt_file)
        stream = interactive.watch(
            args.source,
            prompt or None,
            args.model,
            kept=kept,
            record=args.record,
            overwrite=args.overwrite,
            **parameters,
        )
        if args.out is not None:
            self._names[args.out] = stream
        return stream

    def _object(self, option: str, text: str | None, what: str) -> Any:
        """What an option names: a variable, a file or JSON text; of a schema a class, too."""
        if text is None:
            return None
        if text in self._names:
            value = self._names[text]
            if option == "--schema" and isinstance(value, type):
                return value
        else:
            try:
                value = json.loads(
                    text if text.lstrip().startswith("{") else Path(text).read_text("utf-8")
                )
            except OSError:
                raise UsageError(
                    f"{option} {redact(text)}: no variable of this name and no such file"
                ) from None
            except ValueError as error:
                raise UsageError(f"{option} {text}: not JSON: {error}") from None
        if not isinstance(value, dict):
            raise UsageError(f"{option} {text}: {what} is an object, not {value!r}")
        return value

    def _status(self, words: list[str]) -> object:
        _no_more("status", words)
        return interactive.status()

    def _models(self, words: list[str]) -> object:
        _no_more("models", words)
        return interactive.models()

    def _stop(self, words: list[str]) -> None:
        _no_more("stop", words[1:])
        target: Stream | str | None = None
        if words:
            named = self._names.get(words[0])
            target = named if isinstance(named, Stream) else words[0]
        for stream in interactive.stop(target):
            print(f"{stream.stream_id} {stream.status}; {len(stream.df)} rows stay in its df")


_COMMANDS: dict[str, Callable[[OvershootMagics, list[str]], object]] = {
    "status": OvershootMagics._status,
    "models": OvershootMagics._models,
    "stop": OvershootMagics._stop,
}


def _kept(path: str) -> PromptVersion:
    try:
        return PromptVersion.load(path)
    except OSError as error:
        raise UsageError(f"--prompt-file {redact(path)}: {error.strerror}") from None


def _split(line: str) -> list[str]:
    try:
        if os.name != "nt":
            return [hidden_line(word) for word in shlex.split(line)]
        # Backslashes are path separators there, not escapes.
        return [hidden_line(word.strip("\"'")) for word in shlex.split(line, posix=False)]
    except ValueError as error:
        raise UsageError(f"%overshoot: {error} in: {redact(line)}") from None


def _no_more(command: str, words: list[str]) -> None:
    if words:
        got = redact(" ".join(words))
        raise UsageError(f"%overshoot {command} takes no more words, got: {got}")
