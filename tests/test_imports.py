"""Who may import whom. The folder list is the diagram only as long as this table holds.

Read from the source, so that an import inside a function, or for types only, counts as well.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = ("agent", "backend", "drivers")
ANY = "*"
IMPURE = frozenset(
    ["asyncio", "logging", "os", "pathlib", "random", "secrets", "socket", "sqlite3", "subprocess", "threading", "time"]
) | {"uuid", "shutil", "tempfile", "multiprocessing", "selectors", "select", "ssl", "http", "urllib", "signal"}


@dataclass(frozen=True)
class Row:
    """A package: which parts of the project and which libraries it may import, and what of the standard library not."""

    package: str
    because: str
    project: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    not_stdlib: frozenset[str] = field(default_factory=frozenset)


# The first row whose package contains the module counts; a module may always import its own package.
TABLE = (
    Row("drivers", "a field engineer tests a device with the agent stopped", libraries=(ANY,)),
    Row(
        "agent.core",
        "the same input must give the same answer, in the lane, the backend, a simulation and an audit",
        libraries=("cbor2", "cel", "cryptography", "tongsuopy"),
        not_stdlib=IMPURE,
    ),
    Row(
        "agent.services",
        "the story of a sale must not know its props",
        project=("agent.core", "agent.ports", "agent.errors", "agent.texts", "drivers.device", "drivers.document"),
        not_stdlib=frozenset({"socket", "sqlite3"}),
    ),
    Row(
        "agent.store",
        "an adapter is replaceable, or it is none",
        project=("agent.core", "agent.ports", "agent.errors", "drivers.document"),
        libraries=("apsw", "argon2", "peewee", "playhouse"),
        not_stdlib=frozenset({"socket", "sqlite3"}),
    ),
    Row(
        "agent.uplink",
        "the process that talks to the backend knows the protocol and nothing else of the lane",
        project=("agent.core", "agent.ports", "agent.errors", "agent.unix_socket"),
        libraries=("cryptography", "httpx", "zstandard"),
        not_stdlib=frozenset({"sqlite3"}),
    ),
    Row(
        "agent.local",
        "one local API has many faces, and none of them reaches past the services",
        project=("agent.services", "agent.core", "agent.ports", "agent.errors", "agent.texts", "agent.unix_socket"),
        libraries=("h11", "pydantic", "starlette", "uvicorn"),
        not_stdlib=frozenset({"sqlite3"}),
    ),
    Row(
        "agent.cli.conformance",
        "the suite is started from here only",
        project=("agent.cli.options", "agent.conformance", "agent.errors"),
    ),
    Row("agent.cli.simulate", "the fleet simulation is started from here only", project=("agent", "drivers")),
    Row("agent.cli.bench", "the bench is started from here only", project=("agent.bench",)),
    Row(
        "agent.cli",
        "the command must not open the live ledger: it asks the running agent, or goes through agent.app",
        project=(
            *("agent.core", "agent.local.client", "agent.config", "agent.errors", "agent.texts", "agent.logs"),
            *("agent.app", "agent.uplink_app", "agent.demo", "agent.devices", "agent.diagnosis", "agent.training"),
            "drivers",
        ),
        libraries=(ANY,),
        not_stdlib=frozenset({"sqlite3"}),
    ),
    Row("agent.protocol", "a backend's team needs these two files and nothing else"),
    Row(
        "agent.conformance",
        "it knows the written protocol and the core's rules, nothing of the backend that it looks at",
        project=("agent.core", "agent.errors", "agent.protocol"),
        libraries=("cryptography", "httpx", "zstandard"),
    ),
    Row("agent.bench", "it measures both halves beside their rivals", project=PROJECT, libraries=(ANY,)),
    Row("agent.simulation", "it plays every part", project=PROJECT, libraries=(ANY,)),
    Row(
        "agent.app",
        "the composition root of the lane; the product must run without its simulator and without a backend beside it",
        project=("agent", "drivers"),
        libraries=(ANY,),
        never=("agent.simulation", "agent.cli"),
    ),
    Row(
        "agent.lane",
        "one lane is put together the same way in the daemon and in the simulation",
        project=(
            "agent.core",
            "agent.errors",
            "agent.ports",
            "agent.services",
            "agent.texts",
            "agent.uplink.lane_side",
        ),
    ),
    Row(
        "agent.lane_desk",
        "what the uplink may ask is the same in the daemon and in the simulation",
        project=("agent.core", "agent.lane", "agent.ports", "agent.uplink.lane_side"),
    ),
    Row("agent.unix_socket", "both processes of a lane listen in the same way"),
    Row(
        "agent.uplink_app",
        "the composition root of the process that meets the backend",
        project=("agent.config", "agent.machine", "agent.supervision", "agent.uplink"),
    ),
    Row("agent.supervision", "how long a process lives", project=("agent.errors", "agent.machine")),
    Row(
        "agent.overview",
        "what status shows is one lane as values",
        project=("agent.core", "agent.lane", "agent.lane_desk", "agent.ports", "agent.services"),
    ),
    Row(
        "agent.devices",
        "a device is the same for the agent and for a command",
        project=("agent.config", "agent.errors", "agent.ports", "agent.services.slips", "agent.texts", "drivers"),
    ),
    Row(
        "agent.device_desk",
        "devices follow the sales and never the other way round",
        project=(
            *("agent.config", "agent.config_devices", "agent.devices", "agent.lane", "agent.ports", "agent.texts"),
            *("agent.services.beeps", "agent.services.customer_display", "drivers"),
        ),
    ),
    Row(
        "agent.diagnosis",
        "it looks at every part from outside, also at those that do not start",
        project=("agent", "drivers"),
        libraries=(ANY,),
        never=("agent.simulation", "agent.cli"),
    ),
    Row("agent.machine", "clocks, signals and init system of this computer"),
    Row(
        "agent.demo",
        "the demo is the real product beside a real backend process",
        project=("agent", "drivers"),
        libraries=(ANY,),
        never=("agent.simulation", "agent.cli"),
    ),
    Row(
        "agent.training",
        "a training counter is the real product beside a real backend process",
        project=("agent", "drivers"),
        libraries=(ANY,),
        never=("agent.simulation", "agent.cli", "agent.store"),
    ),
    Row(
        "agent.ports",
        "what services need is told in the core's words",
        project=("agent.core", "agent.errors", "drivers.device", "drivers.document"),
    ),
    Row(
        "agent.config",
        "settings are data",
        project=(
            *("agent.errors", "agent.config_problems"),
            *("agent.config_sections", "agent.config_devices", "agent.config_fields"),
        ),
        libraries=("pydantic", "pydantic_core"),
    ),
    Row(
        "agent.config_problems",
        "settings are data",
        project=("agent.errors", "drivers.printers.profiles"),
        libraries=("pydantic", "pydantic_core"),
    ),
    Row("agent.config_sections", "settings are data", project=("agent.config_fields",), libraries=("pydantic",)),
    Row(
        "agent.config_devices",
        "settings are data",
        project=("agent.config_fields", "drivers.printers.profiles"),
        libraries=("pydantic",),
    ),
    Row("agent.config_fields", "settings are data", libraries=("pydantic",)),
    Row("agent.errors", "everyone may raise these, so they may need no one"),
    Row("agent.logs", "everyone may log"),
    Row("agent.texts", "everyone may speak"),
    Row("backend", "both sides share the rules, not the machinery", project=("agent.core",), libraries=(ANY,)),
)
# Libraries that only these packages may touch, whatever the table says.
ONLY_IN = {
    "peewee": ("agent.store", "backend", "agent.simulation"),
    "playhouse": ("agent.store", "backend", "agent.simulation"),
    "httpx": ("agent.uplink", "agent.simulation", "agent.conformance"),
}
# Too slow for the start of every command: these only inside the function that needs them.
LATE_IN_CLI = (
    "agent.app",
    "agent.uplink_app",
    "agent.demo",
    "agent.bench",
    "agent.conformance",
    "agent.simulation",
    "agent.training",
    "agent.config",
    "starlette",
    "uvicorn",
    "segno",
    "zxingcpp",
)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def modules() -> dict[str, Path]:
    paths = [path for package in PROJECT for path in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


MODULES = modules()


def imports(module: str, tree: ast.AST) -> Iterator[str]:
    """Every module that the source names in an import, in full; `from a import b` is a.b where that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = (
                module if module in MODULES and MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
            )
            above = package.rsplit(".", node.level - 1)[0] + "." if node.level else ""
            origin = (above + (node.module or "")).strip(".")
            for alias in node.names:
                yield f"{origin}.{alias.name}" if f"{origin}.{alias.name}" in MODULES else origin


def offences(module: str, tree: ast.AST) -> list[str]:
    row = next((row for row in TABLE if within(module, row.package)), None)
    if row is None:
        return [] if module == "agent" else [f"{module} has no row in the table of who may import whom"]
    return [
        f"{module} imports {name}, and {row.package} may not, because {row.because}"
        for name in imports(module, tree)
        if not may(module, row, name)
    ]


def may(module: str, row: Row, name: str) -> bool:
    top = name.partition(".")[0]
    if top in ONLY_IN and not any(within(module, package) for package in ONLY_IN[top]):
        return False
    if top in PROJECT:
        allowed = (row.package, *row.project)
        return any(within(name, part) for part in allowed) and not any(within(name, part) for part in row.never)
    if top in sys.stdlib_module_names:
        return top not in row.not_stdlib
    return top in row.libraries or ANY in row.libraries


@pytest.mark.parametrize("module", MODULES)
def test_the_table_of_who_may_import_whom_holds(module: str) -> None:
    assert not offences(module, ast.parse(MODULES[module].read_text()))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("drivers.device", "import agent.core.money"),
        ("agent.core.decision", "import time"),
        ("agent.core.decision", "from os import urandom"),
        ("agent.core.decision", "def f():\n    import random"),
        ("agent.core.decision", "from agent import errors"),
        ("agent.core.decision", "from .. import errors"),
        ("agent.core.decision", "import peewee"),
        ("agent.core.decision", "import numpy"),
        ("agent.services.checkout", "from agent.store import ledger"),
        ("agent.services.checkout", "from agent.uplink.remote import RemoteBackend"),
        ("agent.services.checkout", "from drivers.printers.pos_printer import POSPrinter"),
        ("agent.services.checkout", "import socket"),
        ("agent.store.ledger", "import httpx"),
        ("agent.store.ledger", "import agent.uplink"),
        ("agent.uplink.client", "from agent.services import checkout"),
        ("agent.uplink.client", "import peewee"),
        ("agent.local.api", "from agent.store.ledger import Ledger"),
        ("agent.cli.status", "from agent.store.ledger import Ledger"),
        ("agent.cli.status", "import agent.simulation"),
        ("agent.cli.status", "import httpx"),
        ("agent.app", "import agent.simulation.fleet"),
        ("agent.app", "import backend"),
        ("backend.ingest", "from agent.errors import CounterfoilError"),
        ("backend.ingest", "import httpx"),
        ("backend.ingest", "import drivers"),
        ("agent.new_corner", ""),
    ],
)
def test_a_planted_wrong_import_is_found(module: str, source: str) -> None:
    assert len(offences(module, ast.parse(source))) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "agent.core.decision",
            "import dataclasses, agent.core.money\nfrom . import money\nfrom cryptography import x509",
        ),
        ("agent.services.checkout", "import asyncio\nfrom agent import ports\nfrom drivers.document import Text"),
        ("agent.cli.simulate", "from agent.simulation import fleet"),
        ("agent.simulation.fleet", "import httpx, peewee, backend.api, agent.app"),
        ("agent.app", "import agent.services, agent.store, agent.uplink, agent.local, drivers.registry, uvicorn"),
        ("backend.ingest", "import peewee\nfrom agent.core import journal"),
    ],
)
def test_a_right_import_is_left_alone(module: str, source: str) -> None:
    assert offences(module, ast.parse(source)) == []


# The core may use datetime and files of the standard library for types; asking them for the world is another matter.
ASKING = {"now", "utcnow", "today", "open", "read_text", "write_text", "read_bytes", "write_bytes", "urandom", "print"}


@pytest.mark.parametrize("module", [module for module in MODULES if within(module, "agent.core")])
def test_the_core_asks_no_clock_and_no_file(module: str) -> None:
    calls = [node.func for node in ast.walk(ast.parse(MODULES[module].read_text())) if isinstance(node, ast.Call)]
    names = {
        call.id if isinstance(call, ast.Name) else call.attr
        for call in calls
        if isinstance(call, ast.Name | ast.Attribute)
    }
    assert not names & ASKING


def at_import(tree: ast.Module) -> ast.Module:
    """The tree without function bodies and without what is for type checkers only."""

    class Cut(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    return Cut().visit(tree)


def loaded_with(module: str) -> set[str]:
    """Everything that importing the module imports at once, through the whole project."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        for known in (".".join(parts[: end + 1]) for end in range(len(parts))):
            if known not in found:
                found.add(known)
                if known in MODULES:
                    waiting.extend(imports(known, at_import(ast.parse(MODULES[known].read_text()))))
    return found


def test_no_files_import_each_other_in_a_circle() -> None:
    """Whichever of them is imported first then fails, or does not, by chance."""
    graph = {
        module: {name for name in imports(module, at_import(ast.parse(path.read_text()))) if name in MODULES} - {module}
        for module, path in MODULES.items()
    }
    assert set(TopologicalSorter(graph).static_order()) == set(MODULES)


@pytest.mark.parametrize("module", ["agent.uplink.remote", "agent.uplink.channel", "agent.uplink.lane_side"])
def test_the_selling_process_does_not_load_httpx(module: str) -> None:
    assert module in MODULES
    assert "httpx" not in loaded_with(module), "the selling process stays small: httpx costs 18 MiB and 0.1 s at start"


VERBS = [name for name in MODULES if within(name, "agent.cli") and "\ndef add_parser" in MODULES[name].read_text()]


@pytest.mark.parametrize("module", [*VERBS, "agent.cli.main"])
def test_no_command_loads_at_start_what_only_one_function_needs(module: str) -> None:
    late = [name for name in loaded_with(module) if any(within(name, part) for part in LATE_IN_CLI)]
    assert not late, f"import {late} inside the function that needs it: every command would wait for it"
