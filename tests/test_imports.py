"""Who may import whom: one table, and a test that fails on any other edge. Read it as the map of the code."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.source import parse
from tests.test_errors import tree

ROOT = Path(__file__).parents[1]
PACKAGES = ("common", "grid_party", "bank_party")

# Groups of modules of `common`, lowest first. Names are modules, or packages with all in them.
GROUPS: dict[str, str] = {
    "ground": (
        "errors logs expand disclosure party config private keys scratch table rowhash tablefile dataset"
        " certificate_forms revoked certificates world"
    ),
    "mpc": "mpc",  # secret-shared arithmetic: no socket, no file, no clock
    "features": "features",
    "records": "records",  # a party's monthly records, cleaned and made into features, by itself
    "plan": "plan policy",
    "decision": "decision",  # a score into points, a grade, a decision and reasons, at the bank
    "monitor": "monitor",  # a party's history of what it scored, and what of it is an alarm
    "stages": "stages",  # one verb a file, read top to bottom by stages.pipeline
    "report": "report",  # a training job on one page, from its owner's files
    "wire": "wire",  # gRPC and protobuf, and nothing of what is computed
    "settings": "settings",
    "matching": "matching",  # ids matched by a program beside the daemon; the only one that starts processes
    "metrics": "metrics",
    "jobs": "jobs",
    "coordinator": "coordinator",
    "daemon": "daemon serve health",  # a party's process
    "client": (  # a person's process
        "client show cli trial trial_cli demo demo_cli demo_setup remote doctor certs_cli records_cli report_cli monitor_cli"
        " demo_watch compare"
    ),
}

# What a group may import besides itself: groups, or modules by name. Everybody may import `common` (its version).
MAY_IMPORT: dict[str, str] = {
    "ground": "",
    "mpc": "errors disclosure party",
    "features": "ground",
    "records": "ground",
    "plan": "ground mpc features",
    "decision": "ground features stages.metrics",
    "monitor": "ground decision stages.metrics",
    "stages": "ground mpc features plan decision monitor",
    "report": "ground features plan decision stages",
    "wire": "errors party config revoked certificates disclosure mpc.session mpc.correlation mpc.count_masks",
    "settings": "ground plan wire decision.config monitor.config",
    "metrics": "errors logs certificates mpc.session wire",
    "matching": "errors mpc.session plan stages settings",
    "jobs": "ground mpc plan stages wire settings matching metrics",
    "coordinator": (
        "errors logs party config wire plan settings metrics serve jobs.state jobs.journal jobs.memory"
        " mpc.dealer mpc.correlation mpc.session"
    ),
    "daemon": "ground mpc plan stages wire settings metrics jobs monitor",
    "client": "ground mpc records plan stages report wire settings jobs monitor decision",
}

# A party's package may import all of `common` but the other processes, and never the other party's.
PARTY_NEVER = "coordinator client"

# Only `common.wire` may import these.
NETWORK = ("grpc", "grpc_health", "grpc_reflection", "grpc_tools", "google.protobuf")

# Nobody may import these: they run what they read.
UNSAFE = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")

# `common.mpc` may import none of these, nor use these names: arithmetic knows no socket, no file and no clock.
OUTSIDE = ("socket", "ssl", "select", "http", "urllib", "pathlib", "io", "tempfile", "time", "datetime", "subprocess")
OUTSIDE_NAMES = ("open_connection", "start_server", "StreamReader", "StreamWriter", "create_connection", "create_server")

MOST_LINES = 400


@dataclass(frozen=True)
class Module:
    """A source file, parsed. `imports` are full names, imports within functions included."""

    name: str
    path: Path
    code: ast.Module
    imports: frozenset[str]

    @property
    def generated(self) -> bool:
        return self.path.stem.endswith("_pb2")


def read_modules() -> dict[str, Module]:
    files = {".".join(f.relative_to(ROOT).with_suffix("").parts): f for p in PACKAGES for f in (ROOT / p).rglob("*.py")}
    names = {name.removesuffix(".__init__") for name in files}
    modules = {}
    for name, path in files.items():
        code = parse(path)
        short = name.removesuffix(".__init__")
        modules[short] = Module(short, path, code, frozenset(imported(code, names)))
    return modules


def imported(code: ast.Module, names: set[str]) -> Iterator[str]:
    """`from a import b` is an import of a.b if that is a module, else of a."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide their edge from the reader"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in names or whole in NETWORK else str(node.module)


MODULES = read_modules()
WRITTEN = [module for module in MODULES.values() if not module.generated]


def is_of(name: str, prefixes: tuple[str, ...] | list[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def members(words: str) -> list[str]:
    """Full names of what a line of the tables lists, groups unfolded."""
    flat = [name for word in words.split() for name in GROUPS.get(word, word).split()]
    return [f"common.{name}" for name in flat]


def group_of(name: str) -> str:
    (group,) = [group for group, words in GROUPS.items() if is_of(name, [f"common.{word}" for word in words.split()])]
    return group


def ours(module: Module) -> list[str]:
    return sorted(name for name in module.imports if is_of(name, PACKAGES) and name not in ("common", module.name))


def sources(*packages: str) -> list[Module]:
    return [module for module in WRITTEN if is_of(module.name, list(packages))]


def test_every_module_of_common_is_in_one_group() -> None:
    for name in MODULES:
        if name.startswith("common."):
            assert group_of(name)
    for word in " ".join(GROUPS.values()).split():
        assert f"common.{word}" in MODULES, f"the table names {word}, which does not exist"
    assert GROUPS.keys() == MAY_IMPORT.keys()


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_imports_what_the_table_says_and_nothing_else(group: str) -> None:
    allowed = members(group) + members(MAY_IMPORT[group])
    for module in sources(*members(group)):
        for name in ours(module):
            assert is_of(name, allowed), f"{module.name} imports {name}"


def test_a_partys_package_imports_neither_another_process_nor_the_other_party() -> None:
    for own, other in (("grid_party", "bank_party"), ("bank_party", "grid_party")):
        for module in sources(own):
            for name in ours(module):
                assert not is_of(name, [other, *members(PARTY_NEVER)]), f"{module.name} imports {name}"
    for module in sources("common"):
        assert not [name for name in ours(module) if is_of(name, ["grid_party", "bank_party"])], module.name


def test_there_is_no_cycle() -> None:
    graph = {module.name: set(ours(module)) & MODULES.keys() for module in MODULES.values()}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names it


def test_a_coordinator_loads_neither_stages_nor_what_prepares_rows() -> None:
    seen: set[str] = set()
    waiting = [module.name for module in sources("common.coordinator")]
    while waiting:
        name = waiting.pop()
        if name in MODULES and name not in seen:
            seen.add(name)
            waiting += ours(MODULES[name])
    assert not [name for name in seen if is_of(name, ["common.stages", "common.features.prepare", "common.jobs.runner"])]


def test_only_wire_knows_the_network() -> None:
    users = {module.name for module in MODULES.values() if any(is_of(name, NETWORK) for name in module.imports)}
    assert users
    assert [name for name in users if not is_of(name, ["common.wire"])] == []


def test_nothing_that_runs_what_it_reads() -> None:
    for module in MODULES.values():
        assert not [name for name in module.imports if is_of(name, UNSAFE)], module.name
        for node in ast.walk(module.code):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), module.name
                assert node.value.value is False, module.name


def test_arithmetic_knows_no_socket_no_file_and_no_clock() -> None:
    for module in sources("common.mpc"):
        assert not [name for name in module.imports if is_of(name, OUTSIDE)], module.name
        for node in ast.walk(module.code):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            assert name not in OUTSIDE_NAMES, f"{module.name}: {name}"
            assert not (isinstance(node, ast.Name) and name == builtins.open.__name__), f"{module.name} opens a file"


def test_no_randomness_but_the_systems_and_the_prgs() -> None:
    for module in sources("common.mpc", "common.stages"):
        assert not [name for name in module.imports if is_of(name, ("random", "numpy.random"))], module.name
        for node in ast.walk(module.code):
            assert not (isinstance(node, ast.Attribute) and node.attr == "random"), f"{module.name}:{node.lineno}"


def test_every_error_is_in_the_one_tree() -> None:
    known = {kind.__name__ for kind in tree()}
    for module in WRITTEN:
        if module.name != "common.errors":
            for node in ast.walk(module.code):
                if isinstance(node, ast.ClassDef):
                    bases = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases}
                    assert not bases & known, f"{module.name}.{node.name} belongs in common.errors and in the catalogue"


def test_files_are_short() -> None:
    tests = list((ROOT / "tests").rglob("*.py"))
    for path in [module.path for module in WRITTEN] + tests:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines < MOST_LINES, f"{path.relative_to(ROOT)} has {lines} lines"
