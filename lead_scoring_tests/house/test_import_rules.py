"""The house rules that a linter's setting cannot say, held over the source of every module; each is shown to bite.

Which room may import which is the import linter's, in `pyproject.toml`.
"""

import ast
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "lead_scoring_assets"
MODULES = sorted(PACKAGE.rglob("*.py"))

SHELL = frozenset(
    {
        "assets",
        "checks",
        "definitions",
        "io_manager",
        "jobs",
        "partitions",
        "resources",
        "schedules",
        "sensors",
        "spark_job",
    }
)
"""The modules that are Dagster's shell, in every room. All others are plain Python that a test calls directly."""

WALL_CLOCK = re.compile(
    r"datetime\.(datetime|date)\.(now|utcnow|today)"
    r"|time\.(time|time_ns|ctime|localtime)"
    r"|pandas\.(Timestamp|DatetimeIndex)\.(now|utcnow|today)"
)
SQL_WALL_CLOCK = re.compile(
    r"\b(current_(timestamp|date|time)|(now|today|get_current_timestamp)\s*\(\s*\))", re.IGNORECASE
)

Rule = Callable[[Path], list[str]]


def dagster_stays_in_the_shell(module: Path) -> list[str]:
    if module.stem in SHELL:
        return []
    return [
        f"{_at(module, node)} imports {name}; only {', '.join(sorted(SHELL))} may. Keep the logic here plain and call "
        "it from the room's shell."
        for node, name in _imported(_tree(module))
        if name.split(".")[0].startswith("dagster")
    ]


def plain_modules_do_not_stand_on_the_shell(module: Path) -> list[str]:
    """An import inside a function is allowed: it is paid by the caller who asks for Dagster, not by every test."""
    if module.stem in SHELL:
        return []
    return [
        f"{_at(module, node)} imports {name} when it is itself imported, and so Dagster; pass in what it needs instead."
        for node, name in _imported(_tree(module), whole_tree=False)
        if name.startswith("lead_scoring_assets.") and SHELL & set(name.split("."))
    ]


def dagster_sees_real_annotations(module: Path) -> list[str]:
    tree = _tree(module)
    if not any(name.split(".")[0] == "dagster" for _, name in _imported(tree)):
        return []
    return [
        f"{_at(module, node)} postpones annotations, which Dagster reads when it builds an asset: remove the import."
        for node, name in _imported(tree)
        if name == "__future__.annotations"
    ]


def only_the_clock_reads_the_time(module: Path) -> list[str]:
    if module == PACKAGE / "clock.py":
        return []
    tree = _tree(module)
    origins = _origins(tree)
    found: list[tuple[ast.AST, str]] = [
        (node, name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name) and WALL_CLOCK.fullmatch(name := _dotted(node, origins))
    ]
    found += [(node, match.group()) for node, text in _texts(tree) if (match := SQL_WALL_CLOCK.search(text))]
    return [
        f"{_at(module, node)} reads the present with {name}: take it from the installation's clock, or as an argument, "
        "or the past cannot be replayed."
        for node, name in found
    ]


def nobody_prints(module: Path) -> list[str]:
    return [
        f"{_at(module, node)} prints: return what there is to say, or log it."
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Name) and node.id == "print"
    ]


def no_error_is_swallowed(module: Path) -> list[str]:
    tree = _tree(module)
    origins = _origins(tree)
    found: list[tuple[ast.AST, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not isinstance(node.body[-1], ast.Raise):
            found.append((node, "catches everything and goes on"))
        if isinstance(node, ast.Call) and _dotted(node.func, origins) == "contextlib.suppress":
            found += [(node, "suppresses everything") for named in node.args if _is_broad(named)]
    return [f"{_at(module, node)} {what}: name the errors that are expected here, or raise." for node, what in found]


RULES: dict[Rule, tuple[str, ...]] = {
    dagster_stays_in_the_shell: (
        "import dagster as dg",
        "from dagster import asset",
        "def late():\n    from dagster._core.storage import runs",
        "from dagster_mlflow import mlflow_tracking",
        "import importlib\nimportlib.import_module('dagster')",
    ),
    plain_modules_do_not_stand_on_the_shell: (
        "from lead_scoring_assets.partitions import PERIODS",
        "from lead_scoring_assets import jobs",
        "import lead_scoring_assets.models.assets",
    ),
    dagster_sees_real_annotations: (
        "from __future__ import annotations\nimport dagster as dg",
        "from __future__ import annotations\nfrom dagster import asset",
    ),
    only_the_clock_reads_the_time: (
        "import datetime\ndatetime.datetime.now()",
        "import datetime as dt\ndt.datetime.utcnow()",
        "from datetime import UTC, datetime\nmoment = datetime.now(UTC)",
        "from datetime import datetime as clock\nmoment = clock.now()",
        "from datetime import date\ndate.today()",
        "import time\ntime.time()",
        "from time import time_ns\ntime_ns()",
        "import pandas as pd\npd.Timestamp.now('UTC')",
        "from datetime import datetime\nfrom dataclasses import field\nat = field(default_factory=datetime.now)",
        "rows = query('select * from leads where created_at < now()')",
        "rows = query(f'select {name}, CURRENT_TIMESTAMP as at from leads')",
    ),
    nobody_prints: ("print('hello')", "def f():\n    list(map(print, [1]))"),
    no_error_is_swallowed: (
        "try:\n    f()\nexcept:\n    pass",
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept Exception as error:\n    log(error)",
        "try:\n    f()\nexcept (ValueError, BaseException):\n    x = None",
        "try:\n    f()\nexcept Exception:\n    if x:\n        raise\n    x = 1",
        "import contextlib\nwith contextlib.suppress(Exception):\n    f()",
    ),
}
"""Each rule, and what it must find."""

ALLOWED: dict[Rule, tuple[str, ...]] = {
    dagster_stays_in_the_shell: ("# import dagster", "name = 'dagster'"),
    plain_modules_do_not_stand_on_the_shell: (
        "def late():\n    from lead_scoring_assets import jobs",
        "from lead_scoring_assets.models.quality import nothing_leaks",
    ),
    dagster_sees_real_annotations: ("from __future__ import annotations\nimport pandas",),
    only_the_clock_reads_the_time: (
        "now = installation.clock.now()",
        "import time\nstarted = time.monotonic()\ntime.sleep(1)",
        "from datetime import datetime\ndatetime.fromisoformat('2008-05-01')",
        '"""What stands in a docstring, now() too, is not run."""',
    ),
    nobody_prints: ("console.print('hello')",),
    no_error_is_swallowed: (
        "try:\n    f()\nexcept ValueError:\n    x = None",
        "try:\n    f()\nexcept Exception as problem:\n    raise LookupError('expected …') from problem",
        "import contextlib\nwith contextlib.suppress(FileNotFoundError):\n    f()",
    ),
}
"""Each rule, and what it must leave alone."""


def _cases(sources: dict[Rule, tuple[str, ...]]) -> list[object]:
    return [
        pytest.param(rule, source, id=f"{rule.__name__}-{number}")
        for rule, planted in sources.items()
        for number, source in enumerate(planted)
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    assert len(MODULES) > 50, f"expected the product's modules in {PACKAGE}"
    assert [offence for module in MODULES for offence in rule(module)] == []


@pytest.mark.parametrize(("rule", "source"), _cases(RULES))
def test_a_planted_offence_is_found_and_named(rule: Rule, source: str, tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(source, encoding="utf-8")
    told = rule(planted)
    assert len(told) == 1, source
    assert re.match(r"\S*planted\.py:\d+ ", told[0])


@pytest.mark.parametrize(("rule", "source"), _cases(ALLOWED))
def test_what_is_allowed_is_left_alone(rule: Rule, source: str, tmp_path: Path) -> None:
    fine = tmp_path / "fine.py"
    fine.write_text(source, encoding="utf-8")
    assert rule(fine) == []


@functools.cache  # each rule looks at every module
def _tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), filename=str(module))


def _at(module: Path, node: ast.AST) -> str:
    shown = module.relative_to(PACKAGE.parent) if module.is_relative_to(PACKAGE) else Path(module.name)
    return f"{shown}:{getattr(node, 'lineno', 1)}"


def _imported(tree: ast.Module, *, whole_tree: bool = True) -> Iterator[tuple[ast.AST, str]]:
    """Every import and the dotted name it brings; with `whole_tree` false, those outside functions only."""
    for node in ast.walk(tree) if whole_tree else _outside_functions(tree):
        if isinstance(node, ast.Import):
            yield from ((node, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node, f"{node.module}.{name.name}") for name in node.names)
        elif isinstance(node, ast.Call) and _dotted(node.func, {}).endswith(("import_module", "__import__")):
            yield from ((node, str(named.value)) for named in node.args if isinstance(named, ast.Constant))


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _outside_functions(child)


def _origins(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: `pd` → `pandas`, `date` → `datetime.date`."""
    origins: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            origins |= {name.asname: name.name for name in node.names if name.asname}
        elif isinstance(node, ast.ImportFrom):
            origins |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
    return origins


def _dotted(node: ast.AST, origins: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, origins)}.{node.attr}"
    return origins.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def _texts(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Text that is used for something; a text that stands alone is a docstring."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node, node.value


def _is_broad(caught: ast.expr | None) -> bool:
    named = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(one is None or (isinstance(one, ast.Name) and one.id in {"Exception", "BaseException"}) for one in named)
