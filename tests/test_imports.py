from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(
    path.relative_to(ROOT).as_posix() for folder in ("nudge_sdk", "admin") for path in (ROOT / folder).rglob("*.py")
)
TESTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py"))

LAYERS = {
    "errors": 0,
    "rules": 1,
    "playbooks": 2,
    "store": 2,
    "runtime": 2,
    "insights": 2,
    "handoff": 2,
    "options": 2,
    "documents": 2,
    "answers": 3,
    "client": 3,
    "__init__": 3,
    "admin": 5,
}
OUTERMOST = 4
"""The layer of every other part of nudge_sdk: hosts, cli, testing and so on."""

RULES_MAY_IMPORT = ("msgspec", "markdown_it", "nudge_sdk.errors", "nudge_sdk.rules")
IMPURE = {"asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "queue", "random", "secrets"}
IMPURE |= {"shutil", "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time", "urllib.request"}
MAY_IMPORT_FLASK = ("nudge_sdk/hosts/flask.py", "nudge_sdk/demo/")
FLASK = {"flask", "flask_sqlalchemy", "jinja2", "jinja2_fragments", "werkzeug", "wtforms"}
DATABASE = {"sqlalchemy", "sqlite3", "psycopg", "alembic", "duckdb", "ibis"}
CLOCK = re.compile(r"\bdate(time)?\.(now|utcnow|today)$")
SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE TABLE|ALTER TABLE|DROP TABLE|PRAGMA|BEGIN|COMMIT)\b")
MAY_HOLD_SQL = ("nudge_sdk/store/", "nudge_sdk/insights/", "admin/queries")


class Import(NamedTuple):
    name: str
    line: int
    is_lazy: bool
    is_for_types: bool

    @property
    def root(self) -> str:
        return self.name.split(".")[0]


class Module:
    """One source file, read as text."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.tree = ast.parse(source)
        parts = (
            ("nudge_sdk", *Path(path).with_suffix("").parts)
            if path.startswith("admin/")
            else Path(path).with_suffix("").parts
        )
        self.package = parts[:-1]
        self.part = parts[1]
        self.layer = LAYERS.get(self.part, OUTERMOST)

    def imports(self) -> Iterator[Import]:
        yield from self._imports_below(self.tree, is_lazy=False, is_for_types=False)

    def _imports_below(self, node: ast.AST, *, is_lazy: bool, is_for_types: bool) -> Iterator[Import]:
        is_lazy = is_lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for name in self._names(node):
            yield Import(name, getattr(node, "lineno", 0), is_lazy, is_for_types)
        typed = node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else []
        for child in ast.iter_child_nodes(node):
            yield from self._imports_below(child, is_lazy=is_lazy, is_for_types=is_for_types or child in typed)

    def _names(self, node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            above = self.package[: len(self.package) - node.level + 1] if node.level else ()
            origin = ".".join((*above, *filter(None, [node.module])))
            return [f"{origin}.{alias.name}" for alias in node.names]
        return []

    def texts(self) -> Iterator[ast.Constant]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node


def is_below(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def layer_of(name: str) -> int:
    part = name.split(".")[1]
    is_module = part in LAYERS or (ROOT / "nudge_sdk" / part).is_dir() or (ROOT / "nudge_sdk" / f"{part}.py").is_file()
    return LAYERS.get(part, OUTERMOST) if is_module else LAYERS["__init__"]


def impure_rules(module: Module) -> Iterator[str]:
    if module.part != "rules":
        return
    for found in module.imports():
        is_pure = found.root in sys.stdlib_module_names and not is_below(found.name, tuple(IMPURE))
        if not is_pure and not is_below(found.name, RULES_MAY_IMPORT):
            yield f"line {found.line}: rules may not import {found.name}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and CLOCK.search(ast.unparse(node)):
            yield f"line {node.lineno}: rules may not call {ast.unparse(node)}; the time is an argument"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"open", "print", "input"}
        ):
            yield f"line {node.lineno}: rules may not call {node.func.id}()"


def wrong_direction(module: Module) -> Iterator[str]:
    for found in module.imports():
        if found.root in {"admin", "static", "tests"}:
            yield f"line {found.line}: {found.root} is no package of ours; the admin is nudge_sdk.admin"
        if found.root != "nudge_sdk" or (is_below(found.name, ("nudge_sdk.admin",)) and may_be_lazy(module, found)):
            continue
        if layer_of(found.name) > module.layer:
            yield f"line {found.line}: {found.name} is further out than {module.part}; see LAYERS"


def may_be_lazy(module: Module, found: Import) -> bool:
    return module.part in {"cli", "demo"} and found.is_lazy


def flask_inside(module: Module) -> Iterator[str]:
    if module.part == "admin" or module.path.startswith(MAY_IMPORT_FLASK):
        return
    for found in module.imports():
        if found.root in FLASK and not may_be_lazy(module, found):
            yield f"line {found.line}: {found.name} belongs into nudge_sdk/hosts/flask.py or the admin"


def stray_sql(module: Module) -> Iterator[str]:
    if module.path.startswith(MAY_HOLD_SQL):
        return
    for found in module.imports():
        if found.root in DATABASE and not found.is_for_types:
            yield f"line {found.line}: {found.name} belongs into {', '.join(MAY_HOLD_SQL)}"
    for text in module.texts():
        if SQL.match(str(text.value)):
            yield f"line {text.lineno}: SQL belongs into {', '.join(MAY_HOLD_SQL)}"


def read(path: str) -> Module:
    return Module(path, (ROOT / path).read_text(encoding="utf-8"))


CHECKS = (impure_rules, wrong_direction, flask_inside, stray_sql)


@pytest.mark.parametrize("path", MODULES)
def test_imports_point_inwards_and_sql_stays_in_its_place(path: str) -> None:
    module = read(path)
    assert [problem for check in CHECKS for problem in check(module)] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nudge_sdk/rules/state.py", "import time"),
        ("nudge_sdk/rules/state.py", "def f():\n    import yaml"),
        ("nudge_sdk/rules/state.py", "from nudge_sdk.store import protocol"),
        ("nudge_sdk/rules/state.py", "from datetime import datetime\nNOW = datetime.now()"),
        ("nudge_sdk/rules/state.py", "TEXT = open('x').read()"),
        ("nudge_sdk/store/sqlite.py", "from nudge_sdk.client import NudgeClient"),
        ("nudge_sdk/store/sqlite.py", "from nudge_sdk import NudgeClient"),
        ("nudge_sdk/store/sqlite.py", "from .. import client"),
        ("nudge_sdk/client.py", "from nudge_sdk.hosts import flask"),
        ("nudge_sdk/client.py", "def f():\n    from nudge_sdk.admin import create_admin"),
        ("nudge_sdk/cli.py", "from nudge_sdk.admin import create_admin"),
        ("nudge_sdk/cli.py", "import flask"),
        ("nudge_sdk/hosts/asgi.py", "from flask import request"),
        ("nudge_sdk/cli.py", "import admin"),
        ("admin/__init__.py", "import admin.views"),
        ("admin/views/people.py", "import sqlalchemy as sa"),
        ("nudge_sdk/client.py", "ROWS = 'SELECT * FROM nudge_events'"),
        ("nudge_sdk/client.py", "def f(t):\n    return f'DELETE FROM {t}'"),
    ],
)
def test_a_wrong_import_or_stray_sql_is_found(path: str, source: str) -> None:
    assert [problem for check in CHECKS for problem in check(Module(path, source))]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "nudge_sdk/rules/copy.py",
            "import hashlib\nfrom markdown_it import MarkdownIt\nfrom nudge_sdk.errors import CopyError",
        ),
        ("nudge_sdk/cli.py", "def admin():\n    import flask\n    from nudge_sdk.admin import create_admin"),
        ("nudge_sdk/hosts/flask.py", "import flask\nfrom nudge_sdk import NudgeClient"),
        (
            "nudge_sdk/client.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sqlalchemy import Connection",
        ),
        ("nudge_sdk/client.py", "def update():\n    '''Update what was selected.'''"),
        ("admin/views/people.py", "from ..queries import people"),
        ("admin/queries.py", "import sqlalchemy\nROWS = 'SELECT 1'"),
    ],
)
def test_a_right_import_passes(path: str, source: str) -> None:
    assert [problem for check in CHECKS for problem in check(Module(path, source))] == []


@pytest.mark.parametrize("path", MODULES + TESTS)
def test_no_file_is_over_500_lines(path: str) -> None:
    lines = (ROOT / path).read_bytes().count(b"\n")
    assert lines <= 500


LEFT_BEHIND = """
import json, os, sys

def held():
    return {kind: len(os.listdir(f"/proc/self/{kind}")) for kind in ("fd", "task")}

before = held()
import nudge_sdk
print(json.dumps({"before": before, "after": held(), "modules": sorted(sys.modules)}))
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc, which is not here")
def test_import_starts_no_thread_keeps_nothing_open_and_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT_BEHIND], cwd=ROOT, capture_output=True, text=True, check=True)
    left = json.loads(done.stdout)
    assert left["after"] == left["before"]
    heavy = FLASK | {"alembic", "markdown_it", "yaml", "click", "psycopg", "sqlalchemy.dialects"}
    assert [name for name in left["modules"] if is_below(name, tuple(heavy))] == []
