"""``overshoot-nb``: demo, serve, models, doctor."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from overshoot_nb.asking.extra_headers import HeldHeaders
from overshoot_nb.support.secret_text import SecretText

from ._version import __version__
from .asking.endpoint import resolve_endpoint
from .errors import NetworkError, OvershootError, ValidationError
from .support.api_key import ApiKey, held_key
from .support.redaction import hidden_line

#: A file with a key has no more.
_MAX_KEY_BYTES = 4096


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0 well, 1 an error that was told, 130 stopped)."""
    words = _words(sys.argv[1:] if argv is None else argv)
    argv = None
    args = _parser().parse_args(words)
    try:
        return int(args.run(args) or 0)
    except OvershootError as error:
        print(f"overshoot-nb: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="overshoot-nb",
        description="Ask a vision-language model about video, from a notebook.",
    )
    parser.add_argument("--version", action="version", version=f"overshoot-nb {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="run the quickstart notebook on a real video")
    demo.add_argument("--lab", action="store_true", help="open it in JupyterLab instead")
    demo.add_argument(
        "--output", metavar="FILE", help="where the executed notebook goes (default: the cache)"
    )
    demo.set_defaults(run=_demo)

    serve = commands.add_parser("serve", help="serve the embedded engine on a port")
    serve.add_argument("--host", default="127.0.0.1", help="address (default %(default)s)")
    serve.add_argument("--port", type=int, default=8000, help="port, 0 = any (default %(default)s)")
    key = serve.add_mutually_exclusive_group()
    key.add_argument(
        "--key",
        type=held_key,
        help="the only key to accept (default: any that is not empty); others on this machine see "
        "it in the list of processes, so rather name where it is:",
    )
    key.add_argument("--key-env", metavar="NAME", help="the environment variable with that key")
    key.add_argument("--key-file", metavar="PATH", help="the file with that key alone")
    serve.add_argument(
        "--insecure",
        action="store_true",
        help="let other machines ask without a key, where --host is an address that they reach",
    )
    serve.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name that the server is asked by, e.g. behind a proxy; may be repeated",
    )
    serve.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="whose pages may ask from a browser, e.g. https://lab.example.org; may be repeated; "
        "* is every page, and does not go with a key",
    )
    serve.add_argument(
        "--alias",
        action="append",
        default=[],
        metavar="NAME=MODEL",
        help="another name of a local model, e.g. Qwen/Qwen3.5-9B=local/auto; may be repeated",
    )
    serve.set_defaults(run=_serve)

    models = commands.add_parser("models", help="list the models of the server")
    models.add_argument("--base-url", help="the server (default: as in a notebook)")
    models.add_argument(
        "--key-env", metavar="NAME", help="the environment variable with the server's key"
    )
    models.add_argument(
        "--extra-headers-env",
        metavar="NAME",
        help="the environment variable with further header fields of each request, as JSON: "
        '{"api-key": "..."}',
    )
    models.set_defaults(run=_models)

    doctor = commands.add_parser("doctor", help="what is installed and which server answers")
    doctor.add_argument("--base-url", help="the server (default: as in a notebook)")
    doctor.set_defaults(run=_doctor)
    return parser


def _words(argv: Sequence[str]) -> list[str]:
    """The arguments, which show no secrets in the variables of a traceback."""
    words, before = [], ""
    for word in argv:
        key = before == "--key" or word.startswith("--key=")
        words.append(SecretText(word) if key else hidden_line(word))
        before = word
    return words


def _demo(args: argparse.Namespace) -> int:
    from .quickstart import execute, open_in_lab

    return open_in_lab() if args.lab else execute(args.output)


def _serve(args: argparse.Namespace) -> None:
    from .local import serve

    key = _key(args)
    try:
        serve(
            args.host,
            args.port,
            key,
            insecure=args.insecure,
            allow_hosts=args.allow_host,
            allow_origins=args.allow_origin,
            aliases=_aliases(args.alias),
        )
    except OSError as error:
        where = f"{args.host}:{args.port}"
        raise NetworkError(f"cannot listen on {where}: {error.strerror or error}") from error


def _key(args: argparse.Namespace) -> ApiKey | None:
    """The key to accept, from wherever it was said to be."""
    if args.key_env is not None:
        return _named("--key-env", args.key_env)
    if args.key_file is None:
        return held_key(args.key)
    try:
        with Path(args.key_file).open("rb") as file:
            held = ApiKey(file.read(_MAX_KEY_BYTES + 1).decode())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ValidationError(f"--key-file {args.key_file!r} cannot be read: {reason}") from None
    key = ApiKey(held.reveal().removeprefix("\ufeff").strip())
    if len(held.reveal().encode()) > _MAX_KEY_BYTES or len(key.reveal().splitlines()) != 1:
        raise ValidationError(f"--key-file {args.key_file!r} must hold one line, which is the key")
    return key


def _named(option: str, name: str) -> ApiKey:
    """The secret that an environment variable holds."""
    held = ApiKey(os.environ.get(name, "").strip())
    if not held.reveal():
        # Whoever gave the secret itself in its place must not see it in the error.
        shown = repr(name) if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", name) else "…"
        raise ValidationError(
            f"{option} {shown} is not valid: there is no such variable, or it is empty"
        )
    return held


def _fields(name: str | None) -> HeldHeaders:
    """The header fields that an environment variable holds."""
    if name is None:
        return ()
    held = _named("--extra-headers-env", name)
    try:
        return tuple(
            (field, ApiKey(value, "extra_headers"))
            for field, value in json.loads(held.reveal()).items()
        )
    except (ValueError, AttributeError):
        raise ValidationError(
            f"--extra-headers-env {name!r} is not valid: the variable must hold a JSON object of "
            'names and texts, such as {"api-key": "..."}'
        ) from None


def _aliases(words: Sequence[str]) -> dict[str, str]:
    aliases = {}
    for word in words:
        name, equals, model = word.rpartition("=")
        if not equals:
            raise ValidationError(f"--alias {word!r} is not valid: it must be NAME=MODEL")
        aliases[name] = model
    return aliases


def _models(args: argparse.Namespace) -> int:
    from .client import get_models

    key = None if args.key_env is None else _named("--key-env", args.key_env)
    fields = _fields(args.extra_headers_env)
    found = asyncio.run(get_models(key, base_url=args.base_url, extra_headers=fields))
    width = max((len(m.model) for m in found), default=0)
    for model in found:
        print(f"{model.model:{width}}  {model.status}")
    if found:
        return 0
    shown = resolve_endpoint(base_url=args.base_url).shown
    print(
        f"overshoot-nb: {shown} answers, but lists no models: is a model loaded there, and is its "
        "address right (OpenAI-compatible servers mostly end in /v1)?",
        file=sys.stderr,
    )
    return 1


def _doctor(args: argparse.Namespace) -> int:
    from .doctor import report

    endpoint = resolve_endpoint(base_url=args.base_url)
    return report(endpoint)


if __name__ == "__main__":
    sys.exit(main())
