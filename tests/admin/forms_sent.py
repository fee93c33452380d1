"""What a browser would send for a form of a page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


def form_of(page: str, form_id: str = "editor") -> dict[str, Any]:
    """Return the names and values of a form; hidden fields of one name are a list."""
    reader = _Reader(form_id)
    reader.feed(page)
    return reader.values


class _Reader(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.values: dict[str, Any] = {}
        self._form_id = form_id
        self._is_in = False
        self._area = self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        name = found.get("name") or ""
        if tag == "form":
            self._is_in = found.get("id") == self._form_id
        elif not self._is_in:
            return
        elif tag == "input" and found.get("type") == "hidden" and name in self.values:
            self.values[name] = [*_listed(self.values[name]), found.get("value") or ""]
        elif tag == "input" and name:
            if found.get("type") not in ("checkbox", "radio") or "checked" in found:
                self.values[name] = found.get("value") or ""
        elif tag == "textarea" and name:
            self._area, self.values[name] = name, ""
        elif tag == "select" and name:
            self._select = name
        elif tag == "option" and self._select and ("selected" in found or self._select not in self.values):
            self.values[self._select] = found.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            # The first line break after the tag is not part of the value.
            self.values[self._area] = self.values[self._area].replace("\r\n", "\n").removeprefix("\n")
            self._area = ""
        elif tag == "select":
            self._select = ""
        elif tag == "form":
            self._is_in = False


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
