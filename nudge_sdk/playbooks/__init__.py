"""Ready definitions, one a business model: documents to start from and to change."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple

from nudge_sdk.errors import SetupError

_SUFFIX = ".yaml"
_BODY = "\nmilestones:"


class Playbook(NamedTuple):
    """A ready definition.

    Attributes:
        key: What ``read_playbook`` takes.
        name: Its name for people.
        description: One paragraph that says what it is for.
    """

    key: str
    name: str
    description: str


def list_playbooks() -> list[Playbook]:
    """Return the ready definitions, by key."""
    return [_describe(key) for key in _keys()]


def read_playbook(key: str) -> str:
    """Return the YAML document of a ready definition.

    Raises:
        SetupError: There is none of that key.
    """
    if key not in _keys():
        raise SetupError(f"there is no playbook {key!r}; there are {', '.join(_keys())}")
    return resources.files(__name__).joinpath(key + _SUFFIX).read_text(encoding="utf-8")


@cache
def _keys() -> tuple[str, ...]:
    names = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


@cache
def _describe(key: str) -> Playbook:
    import yaml

    # Name and notes lead every file: reading the rest as YAML takes a hundred times as long.
    head = yaml.safe_load(read_playbook(key).partition(_BODY)[0])
    return Playbook(key, head["name"], head["notes"].partition("\n")[0])
