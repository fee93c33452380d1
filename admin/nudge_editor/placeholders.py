"""The placeholders that texts of a nudge may use: what each means, and how it is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nudge_sdk.rules.authoring_copy import placeholder_names
from nudge_sdk.rules.definition import Definition
from nudge_sdk.rules.lint_findings import name_of


class Placeholder(NamedTuple):
    """A placeholder; ``text`` is what is put into a text, with a fallback where it needs one."""

    name: str
    text: str
    meaning: str


_KNOWN = {
    "done": ("done something", "what the person has just done, such as “sent a campaign”"),
    "milestone": ("a milestone", "the name of the milestone just reached"),
    "user_name": ("there", "the person’s name"),
    "account_name": ("your team", "the account’s name"),
    "trait.*": ("…", "any trait of the person: write its name for the *, such as trait.role"),
    "account.*": ("…", "any trait of the account, such as account.plan"),
    "context.*": ("…", "any value the page gives, such as context.project"),
}
_PARTS = {"value": ("many", "how much is used"), "limit": ("your", "the limit"), "left": ("few", "how much is left")}


def placeholders(definition: Definition) -> list[Placeholder]:
    """Return all that texts may use, the commonest first."""
    names = placeholder_names(definition.milestones)
    order = {name: place for place, name in enumerate(_KNOWN)}
    found = [*sorted(names.some, key=lambda name: (order.get(name, len(order)), name)), *sorted(names.always)]
    return list(_described(found, names.always, {each.key: name_of(each) for each in definition.milestones}))


def _described(names: list[str], always: frozenset[str], milestones: dict[str, str]) -> Iterator[Placeholder]:
    for name in names:
        root, _, rest = name.partition(".")
        key, _, part = rest.rpartition(".")
        if name in _KNOWN:
            fallback, meaning = _KNOWN[name]
        elif root == "usage":
            fallback, words = _PARTS[part]
            meaning = f"{words}, of “{milestones[key]}”"
        else:
            fallback, meaning = "", f"how often: “{milestones[rest]}”"
        text = f"{{{{ {name.replace('*', 'name')} | {fallback} }}}}" if name not in always else f"{{{{ {name} }}}}"
        yield Placeholder(name, text, meaning)
