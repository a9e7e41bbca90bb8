"""Who may import whom: one table, and a test that fails on any other edge. Read it as the map of the code."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.common.test_errors import tree
from tests.source import ROOT, parse

PACKAGES = ("common", "grid_party", "bank_party", "wattscore")

# The folders of `common` in order: one may import those before it and nothing else. The first line are loose modules.
WORDS = "errors disclosure config party unheard"
FOLDERS = """
    text disk stats rows trust mpc features scale records wire plan learn match monitor process web home stages client report
    coordinator auditor daemon console doctor trial cli
""".split()  # noqa: SIM905  (one line to read, not twenty-five)

# Narrower than the order: all that these may import besides themselves and the words.
NARROW: dict[str, str] = {
    "text": "",
    "disk": "text",
    "stats": "",
    "rows": "disk",
    "trust": "disk",
    "mpc": "",  # secret-shared arithmetic: no socket, no file, no clock
    "features": "rows stats",
    "scale": "disk process.extra process.memory",
    # a party's monthly records, cleaned and made into features, by itself or on its own machines
    "records": "text disk rows features scale process.memory",
    # gRPC and protobuf, and nothing of what is computed
    "wire": "text trust mpc.beside mpc.session mpc.correlations.asked mpc.counting.masks",
    "match": "mpc rows.cmac",
    # never rows, ids or shares
    "coordinator": (
        "text disk wire plan process web learn match.intersect match.tags mpc.beside mpc.dealer mpc.several.dealer"
        " mpc.correlations.asked mpc.seeds mpc.session"
    ),
}

# What touches rows or shares: a coordinator must not load it, not even by way of another.
ROWS_AND_SHARES = (
    "common.stages", "common.features.fit", "common.daemon.runner", "common.home", "common.learn.design",
    "common.learn.linear.design", "common.learn.linear.half", "common.learn.linear.train",
)  # fmt: skip

# A party's package may import all of `common` but the other processes, and never the other party's.
PARTY_NEVER = ("common.coordinator", "common.trial", "common.cli")

# Only `common.wire` may import these.
NETWORK = ("grpc", "grpc_health", "grpc_reflection", "grpc_tools", "google.protobuf")

# Nobody may import these: they run what they read.
UNSAFE = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")

# Only these may import an engine that unpickles what it is sent: a process of its own, which none of ours loads.
ENGINES = {"ray": "common.scale.ray_driver"}

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


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All within it, at any depth: a tenth of what `ast.walk` goes through, which collecting the tests would wait for."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        for inner in getattr(node, field, ()):
            yield inner
            yield from statements(inner)


def imported(code: ast.Module, names: set[str]) -> Iterator[str]:
    """`from a import b` is an import of a.b if that is a module, else of a."""
    for node in statements(code):
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


def room(name: str) -> str:
    """The folder of a module of `common`; its own name where it is loose."""
    return name.split(".")[1]


def ours(module: Module) -> list[str]:
    return sorted(name for name in module.imports if is_of(name, PACKAGES) and name not in ("common", module.name))


def sources(*packages: str) -> list[Module]:
    return [module for module in WRITTEN if is_of(module.name, list(packages))]


def test_every_module_of_common_is_in_a_folder_of_the_table() -> None:
    rooms = {room(name) for name in MODULES if name.startswith("common.")}
    assert rooms == {*WORDS.split(), *FOLDERS}


@pytest.mark.parametrize("folder", [*WORDS.split(), *FOLDERS])
def test_a_folder_imports_those_before_it_and_nothing_else(folder: str) -> None:
    before = FOLDERS[: FOLDERS.index(folder)] if folder in FOLDERS else []
    wider = NARROW[folder].split() if folder in NARROW else before
    allowed = [f"common.{name}" for name in (folder, *WORDS.split(), *wider)]
    for module in sources(f"common.{folder}"):
        for name in ours(module):
            assert is_of(name, allowed), f"{module.name} imports {name}"


def test_a_partys_package_imports_neither_another_process_nor_the_other_party() -> None:
    for own, other in (("grid_party", "bank_party"), ("bank_party", "grid_party")):
        for module in sources(own):
            for name in ours(module):
                assert not is_of(name, [other, *PARTY_NEVER]), f"{module.name} imports {name}"
    for module in sources("common"):
        assert not [name for name in ours(module) if is_of(name, ["grid_party", "bank_party"])], module.name


def test_a_party_by_itself_cannot_name_a_message_to_the_other() -> None:
    """A session sends by kind: what does not import the kinds exchanges nothing, so a role's hooks fall between rounds."""
    for module in sources("grid_party", "bank_party"):
        assert not [name for name in module.imports if is_of(name, ["common.mpc.session"])], module.name


def test_the_public_face_knows_the_client_its_command_and_what_reads_reports_alone() -> None:
    allowed = ["common.client", "common.plan", "common.errors", "common.cli", "common.report.frames", "common.trial.frames"]
    for module in sources("wattscore"):
        assert [name for name in ours(module) if not is_of(name, allowed)] == []
    for module in sources("common", "grid_party", "bank_party"):
        assert not [name for name in ours(module) if is_of(name, ["wattscore"])], module.name


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
    assert not [
        name
        for name in seen
        if is_of(
            name,
            [
                "common.stages",
                "common.features.fit",
                "common.daemon.runner",
                "common.match.aided",
                "common.home",
                "common.learn.design",
                "common.learn.linear.design",
                "common.learn.linear.half",
            ],
        )
    ]


def test_only_wire_knows_the_network() -> None:
    users = {module.name for module in MODULES.values() if any(is_of(name, NETWORK) for name in module.imports)}
    assert users
    assert [name for name in users if not is_of(name, ["common.wire"])] == []


def test_an_engine_is_one_modules_which_nobody_imports() -> None:
    for engine, only in ENGINES.items():
        assert [module.name for module in MODULES.values() if any(is_of(n, [engine]) for n in module.imports)] == [only]
        assert [module.name for module in MODULES.values() if only in module.imports] == []


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


def test_each_package_says_who_runs_it_and_what_it_may_not_know() -> None:
    folders = [module for module in WRITTEN if module.path.name == "__init__.py"]
    assert len(folders) > 20
    for module in folders:
        first, *rest = (ast.get_docstring(module.code) or "").split("\n\n")
        assert first.endswith(".") and "\n" not in first and rest, f"{module.name} lacks a sentence or two"


def test_files_are_short() -> None:
    tests = list((ROOT / "tests").rglob("*.py"))
    for path in [module.path for module in WRITTEN] + tests:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines < MOST_LINES, f"{path.relative_to(ROOT)} has {lines} lines"
