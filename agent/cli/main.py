"""The `counterfoil` command: finds the verbs, runs one, turns every fault into a sentence and an exit code.

The rule: a verb is one module here with `add_parser(subparsers)`; its file name is its name (`pass_.py`: `pass`).
Only the module of the verb that is asked for is imported, so a broken one never takes `doctor` with it.

Exit codes: 0 done, 1 a fault (message and hint on standard error), 2 wrong usage, 130 interrupted.
"""

import argparse
import contextlib
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from types import ModuleType

import agent.cli
from agent.cli.usage import Parser
from agent.errors import CounterfoilError, DeviceMisnamed, DeviceUnavailable

DONE, FAULT, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; never raises, and shows a stack trace with `--debug` only."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        args = _parser(arguments).parse_args([word for word in arguments if word != "--debug"])
        code = int(args.run(args))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `counterfoil … | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except SystemExit as stop:  # argparse: 0 after --help and --version, 2 after wrong usage
        return stop.code if isinstance(stop.code, int) else USAGE
    except Exception as error:
        if debug:
            raise
        return _explain(error, as_json="--json" in arguments)
    return code


def _explain(error: Exception, *, as_json: bool) -> int:
    import json

    fault = error if isinstance(error, CounterfoilError) else _of_device(error) or CounterfoilError(_sentence(error))
    if as_json:
        print(json.dumps({"error": fault.to_dict()}, ensure_ascii=False))
    with contextlib.suppress(OSError):
        print(f"counterfoil: {fault.message}\n{fault.hint}", file=sys.stderr)
    return FAULT


def _of_device(error: Exception) -> CounterfoilError | None:
    from drivers.errors import DriverError, TransportError
    from drivers.remedies import remedy_for

    if isinstance(error, TransportError):
        return DeviceUnavailable(remedy_for(error.reason))
    return DeviceMisnamed(f"{str(error)[:1].upper()}{str(error)[1:]}.") if isinstance(error, DriverError) else None


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"internal fault, {type(error).__name__}: {error}"


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="counterfoil",
        description="Point-of-sale credit agent of one lane.",
        epilog="counterfoil VERB --help explains a verb.",
    )
    parser.add_argument("--version", action="version", version=f"counterfoil {version('counterfoil')}")
    parser.add_argument("--debug", action="store_true", help="show the stack trace of a fault")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    for module in _verb_modules(arguments):
        module.add_parser(verbs)
    return parser


def _verb_modules(arguments: Sequence[str]) -> list[ModuleType]:
    """The module of the verb that is asked for; all of them where none is, for the list in `--help`."""
    names = [module.name for module in pkgutil.iter_modules(agent.cli.__path__) if module.name != "main"]
    asked = next((word.replace("-", "_") for word in arguments if not word.startswith("-")), "")
    chosen = [name for name in names if name.rstrip("_") == asked] or names
    modules = [importlib.import_module(f"agent.cli.{name}") for name in chosen]
    return [module for module in modules if hasattr(module, "add_parser")]


if __name__ == "__main__":
    sys.exit(main())
