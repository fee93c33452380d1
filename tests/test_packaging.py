from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"nudge_sdk": "nudge_sdk", "nudge_sdk.admin": "admin", "nudge_sdk.static": "static"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS: dict[str, Any] = PROJECT["tool"]["setuptools"]


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def packages_in_folders() -> set[str]:
    found = {"nudge_sdk.static"}
    for package, folder in FOLDERS.items():
        for module in (ROOT / folder).rglob("*.py"):
            below = module.parent.relative_to(ROOT / folder).parts
            found.add(".".join((package, *below)))
    return found


def folder_of(package: str) -> Path:
    top = max((name for name in FOLDERS if f"{package}.".startswith(f"{name}.")), key=len)
    return ROOT.joinpath(FOLDERS[top], *package.removeprefix(top).split("."))


def test_package_list_is_what_the_folders_hold() -> None:
    assert set(SETUPTOOLS["packages"]) == packages_in_folders()
    assert len(SETUPTOOLS["packages"]) == len(set(SETUPTOOLS["packages"]))


def test_folders_outside_the_package_are_mapped_into_it() -> None:
    mapped = {package: folder for package, folder in FOLDERS.items() if package != folder}
    assert SETUPTOOLS["package-dir"] == mapped
    assert SETUPTOOLS["include-package-data"] is False


@pytest.mark.parametrize("package", sorted(packages_in_folders() - {"nudge_sdk.static"}))
def test_every_package_has_an_init(package: str) -> None:
    assert (folder_of(package) / "__init__.py").is_file()


def test_static_is_no_package_of_its_own() -> None:
    assert not list((ROOT / "static").rglob("*.py"))


def test_every_file_that_is_not_python_is_package_data() -> None:
    covered = {
        path
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in folder_of(package).glob(pattern)
    }
    data = {path for folder in FOLDERS.values() for path in files_of(ROOT / folder) if path.suffix not in {".py"}}
    assert ROOT / "nudge_sdk" / "py.typed" in data
    assert data <= covered, sorted(str(path.relative_to(ROOT)) for path in data - covered)


def test_dependencies_are_lower_bounds_only() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    # Only who reads by a Spark cluster has this one: pyspark asks for it, in an environment of its own.
    assert "pandas<3" in extras["spark"]
    groups = [PROJECT["project"]["dependencies"], *extras.values()]
    for requirement in (requirement for group in groups for requirement in group if requirement != "pandas<3"):
        assert re.fullmatch(r"[\w-]+(\[[\w,-]+\])?(>=[\d.]+)?", requirement), requirement


def test_the_base_install_is_light() -> None:
    names = {re.split(r"[>=\[]", requirement)[0].lower() for requirement in PROJECT["project"]["dependencies"]}
    assert names == {"sqlalchemy", "alembic", "click", "itsdangerous", "markdown-it-py", "msgspec", "pyyaml"}
