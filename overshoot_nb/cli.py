"""``overshoot-nb``: demo, serve, models, doctor."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from . import config
from ._version import __version__
from .errors import NetworkError, OvershootError, ValidationError
from .redaction import SecretText, hidden_line

__all__ = ["main"]


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
    serve.add_argument(
        "--key",
        type=config.held_key,
        help="the only key to accept (default: any that is not empty)",
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
    models.set_defaults(run=_models)

    doctor = commands.add_parser("doctor", help="what is installed and which server answers")
    doctor.add_argument("--base-url", help="the server (default: as in a notebook)")
    doctor.set_defaults(run=_doctor)
    return parser


def _words(argv: Sequence[str]) -> list[str]:
    """The arguments, which show no secrets in the variables of a traceback."""
    words, before = [], ""
    for word in argv:
        key = before.startswith("--k") or word.startswith("--k")
        words.append(SecretText(word) if key else hidden_line(word))
        before = word if "=" not in word else ""
    return words


def _demo(args: argparse.Namespace) -> int:
    from .quickstart import execute, open_in_lab

    return open_in_lab() if args.lab else execute(args.output)


def _serve(args: argparse.Namespace) -> None:
    from .local import serve

    try:
        serve(args.host, args.port, args.key, aliases=_aliases(args.alias))
    except OSError as error:
        where = f"{args.host}:{args.port}"
        raise NetworkError(f"cannot listen on {where}: {error.strerror or error}") from error


def _aliases(words: Sequence[str]) -> dict[str, str]:
    aliases = {}
    for word in words:
        name, equals, model = word.rpartition("=")
        if not equals:
            raise ValidationError(f"--alias {word!r} is not valid: it must be NAME=MODEL")
        aliases[name] = model
    return aliases


def _models(args: argparse.Namespace) -> None:
    from .client import get_models

    found = asyncio.run(get_models(base_url=args.base_url))
    width = max((len(m.model) for m in found), default=0)
    for model in found:
        print(f"{model.model:{width}}  {model.status}")


def _doctor(args: argparse.Namespace) -> int:
    from .doctor import report

    endpoint = config.resolve_endpoint(base_url=args.base_url)
    return report(endpoint)


if __name__ == "__main__":
    sys.exit(main())
