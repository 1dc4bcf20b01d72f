"""The ``%overshoot`` magic: parse, then delegate to :mod:`overshoot_nb.interactive`."""

from __future__ import annotations

import argparse
import json
import keyword
import os
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypedDict, get_args

from IPython.core.error import UsageError
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from overshoot_nb import config, interactive
from overshoot_nb.asking.extra_headers import held_headers
from overshoot_nb.support.secret_text import secret_pairs

from .client import Overshoot
from .errors import OvershootError
from .settings.source_options import WatchParameters
from .store.prompts import PromptVersion
from .stream import Stream
from .support.api_key import ApiKey
from .support.magic_words import split_words
from .support.redaction import hidden_line, redact
from .types import ClipEncoding, ResponseFormat, SameFrame, Transport


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of ending the kernel."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%overshoot: {redact(message)}; `%overshoot --help` shows every form")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _HelpShown


class _Server(TypedDict):
    client: Overshoot | None
    api_key: ApiKey | None
    base_url: str | None


class _HelpShown(Exception):
    """--help has printed."""


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    return int(width), int(height)


_size.__name__ = "WIDTHxHEIGHT"  # what argparse calls a value that is none


#: Options that are parameters of `watch` by the same name, with "_" for "-".
_FURTHER: dict[str, dict[str, Any]] = {
    "--loop": {"action": "store_true", "default": None, "help": "a file: begin again at its end"},
    "--live": {"action": "store_true", "default": None, "help": "an http URL without an end"},
    "--realtime": {
        "action": argparse.BooleanOptionalAction,
        "help": "a file: at its own pace, or as fast as answers come",
    },
    "--start-time": {
        "type": datetime.fromisoformat,
        "metavar": "TIME",
        "help": "a file: when its first frame was taken, such as 2026-01-31T12:00:00Z",
    },
    "--timeout": {
        "type": float,
        "metavar": "SECONDS",
        "help": "without data from the source, after which it counts as broken",
    },
    "--width": {"type": int, "help": "a camera: pixels"},
    "--height": {"type": int, "help": "a camera: pixels"},
    "--speed": {"type": float, "help": "a recording: times as fast as it was"},
    "--system": {"metavar": "TEXT", "help": "text of a system message before the prompt"},
    "--temperature": {"type": float, "help": "0 to 2"},
    "--max-output-tokens": {"type": int, "metavar": "N", "help": "limit of an answer"},
    "--max-in-flight": {"type": int, "metavar": "N", "help": "requests under way at once"},
    "--max-size": {
        "type": _size,
        "metavar": "WxH",
        "help": "that frames are fitted into (default {}x{})".format(*config.MAX_SIZE),
    },
    "--jpeg-quality": {
        "type": int,
        "metavar": "N",
        "help": f"1 to 100 (default {config.JPEG_QUALITY})",
    },
    "--clip-encoding": {"choices": get_args(ClipEncoding), "help": "how a clip is sent"},
    "--response-format": {"choices": get_args(ResponseFormat), "help": "how a schema is sent"},
    "--keep-frames": {
        "type": int,
        "metavar": "BYTES",
        "help": "of sampled pictures to keep in memory; 0 keeps none anywhere",
    },
}


_EXTRA_HEADERS = 'variable with header fields of each request, like {"api-key": "..."}'


def _server_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="overshoot models", description="The models that can be asked.")
    parser.add_argument("--base-url", metavar="URL", help="the server to ask")
    parser.add_argument("--key-env", metavar="NAME", help="environment variable with its key")
    parser.add_argument("--client", metavar="NAME", help="variable that holds the client to use")
    parser.add_argument("--extra-headers", metavar="NAME", help=_EXTRA_HEADERS)
    return parser


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
    add(
        "--extra-body",
        metavar="JSON",
        help='further fields of each request, like {"seed": 7}: a variable, a .json file or JSON',
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
    for flag, options in _FURTHER.items():
        add(flag, **options)
    add("--base-url", metavar="URL", help="the server to ask; default: as Overshoot() finds it")
    add("--key-env", metavar="NAME", help="environment variable that holds the server's key")
    add("--client", metavar="NAME", help="variable that holds the client to use: Overshoot(...)")
    add("--extra-headers", metavar="NAME", help=_EXTRA_HEADERS)
    add("--headers", metavar="NAME", help="an http(s) source: variable with its header fields")
    add("--on-result", metavar="NAME", help="function that is called with each result")
    add("--on-error", metavar="NAME", help="function that is called with each error")
    add("--record", metavar="FILE", help="keep the run in this Parquet file, as stream.record()")
    add("--overwrite", action="store_true", help="replace that file where there is one")
    return parser


@magics_class
class OvershootMagics(Magics):
    """``%overshoot`` and ``%%overshoot``."""

    # IPython would put values in before the line is split, where their quotes break it.
    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def overshoot(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> object:
        """Ask a vision-language model about a video.

        Forms::

            %overshoot SOURCE "PROMPT" [-o NAME] [--model M] [--schema JSON]
                       [--mode frame|clip] [--interval S] [--fps N] [--clip S] [--delay S]
                       [--transport webrtc|native] [--same-frame copy|ask]
                       [--record FILE [--overwrite]] [--loop] [SERVER] [more options]
            %overshoot SOURCE --prompt-file FILE [options]
            %overshoot status              the streams that were started, and their figures
            %overshoot models [SERVER]     the models that can be asked
            %overshoot stop [NAME|ID]      end one stream, or all

            %%overshoot SOURCE [options]
            the prompt, in as many lines as it takes

        SERVER is ``--base-url URL [--key-env NAME] [--extra-headers NAME]``, where the first NAME
        is an environment variable that holds the key and the second a variable that holds a dict
        of header fields, or ``--client NAME``, a variable that holds an ``Overshoot``.
        ``--prompt-file`` takes prompt, model, schema and limits from a file that
        ``stream.prompts[1].save("p.toml")`` wrote; what is given beside it wins over the file.

        The stream is the value (``_``, or NAME with ``-o``); ``_.df`` grows while it runs.
        ``%overshoot --help`` describes each option.
        """
        line = hidden_line(line)
        try:
            words = _split(line, {**self._names, **(local_ns or {})})
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
        parameters: WatchParameters = {
            "mode": args.mode,
            "interval_seconds": args.interval,
            "target_fps": args.fps,
            "clip_length_seconds": args.clip,
            "delay_seconds": args.delay,
            "output_schema": self._object("--schema", args.schema, "a JSON schema"),
            "extra_body": self._object("--extra-body", args.extra_body, "this"),
            "transport": args.transport,
            "same_frame": args.same_frame or config.SAME_FRAME,
            "headers": secret_pairs(self._fields("--headers", args.headers)),
        }
        for flag in _FURTHER:
            name = flag.removeprefix("--").replace("-", "_")
            if getattr(args, name) is not None:
                parameters[name] = getattr(args, name)  # type: ignore[literal-required]
        if args.out is not None and (not args.out.isidentifier() or keyword.iskeyword(args.out)):
            word = "a word of Python, " if keyword.iskeyword(args.out) else ""
            raise UsageError(f"-o {redact(args.out)}: {word}not a name that a variable can have")
        kept = None if args.prompt_file is None else _kept(args.prompt_file)
        stream = interactive.watch(
            args.source,
            prompt or None,
            args.model,
            self._function("--on-result", args.on_result),
            self._function("--on-error", args.on_error),
            **self._server(args),
            kept=kept,
            record=args.record,
            overwrite=args.overwrite,
            **parameters,
        )
        if args.out is not None:
            self._names[args.out] = stream
        return stream

    def _function(self, flag: str, name: str | None) -> Callable[[Any], object] | None:
        """The function that a variable holds."""
        if name is None:
            return None
        if name not in self._names:
            raise UsageError(f"{flag} {redact(name)}: no variable of this name")
        function: Callable[[Any], object] = self._names[name]  # what is none, start() refuses
        return function

    def _server(self, args: argparse.Namespace) -> _Server:
        """Who is asked, by the options that say so."""
        client, key = self._client(args.client), _key(args.key_env)
        if args.extra_headers is None:
            return {"client": client, "api_key": key, "base_url": args.base_url}
        if client is not None:
            raise UsageError("--extra-headers does not go with --client, which has its own")
        fields = held_headers(self._fields("--extra-headers", args.extra_headers))
        asked = interactive.client(key, args.base_url, fields)
        return {"client": asked, "api_key": None, "base_url": None}

    def _fields(self, flag: str, name: str | None) -> Any:
        """The header fields that a variable holds: secrets, which are not typed here."""
        if name is not None and name not in self._names:
            # Whoever gave the fields themselves must not see them in the error.
            raise UsageError(
                f"{flag} takes the name of a variable that holds a dict such as "
                '{"Cookie": "..."}, and there is none of this name'
            )
        return None if name is None else self._names[name]

    def _client(self, name: str | None) -> Overshoot | None:
        """The client that a variable holds."""
        if name is None:
            return None
        found = self._names.get(name)
        if not isinstance(found, Overshoot):
            held = f"a {type(found).__name__}" if name in self._names else "no such variable"
            raise UsageError(
                f"--client {redact(name)}: {held}; it takes a variable that holds a client, as "
                "made with client = overshoot_nb.Overshoot(...)"
            )
        return found

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
        args = _server_parser().parse_args(words)
        return interactive.models(**self._server(args))

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


def _key(name: str | None) -> ApiKey | None:
    """The key that an environment variable holds."""
    if name is None:
        return None
    key = ApiKey(os.environ.get(name, "").strip())  # named, so it is sent to any server
    if not key.reveal():
        # Whoever gave the key itself in its place must not see it in the error.
        shown = name if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", name) else "…"
        raise UsageError(
            f"--key-env {shown}: there is no such environment variable, or it is empty; it takes "
            "the variable's name, not the key: os.environ[NAME] = getpass.getpass()"
        )
    return key


def _kept(path: str) -> PromptVersion:
    try:
        return PromptVersion.load(path)
    except OSError as error:
        raise UsageError(f"--prompt-file {redact(path)}: {error.strerror}") from None


def _split(line: str, names: dict[str, Any]) -> list[str]:
    try:
        words = split_words(line, names, windows=os.name == "nt")
    except ValueError as error:
        raise UsageError(f"%overshoot: {error} in: {redact(line)}") from None
    return [hidden_line(word) for word in words]


def _no_more(command: str, words: list[str]) -> None:
    if words:
        got = redact(" ".join(words))
        raise UsageError(f"%overshoot {command} takes no more words, got: {got}")
