"""Reading pages as a browser does: what a form would send."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class _Form(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id = form_id
        self.is_inside = False
        self.fields: list[tuple[str, str]] = []
        self.select = ""
        self.options: list[tuple[str, bool]] = []
        self.textarea: list[str] | None = None
        self.textarea_name = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value")
        if tag == "form":
            self.is_inside = given.get("id") == self.form_id
        if not self.is_inside:
            return
        if tag == "input" and name:
            is_choice = given.get("type") in ("checkbox", "radio")
            if not is_choice or "checked" in given:
                self.fields.append((name, value if value is not None else "y" if is_choice else ""))
        elif tag == "select":
            self.select, self.options = name, []
        elif tag == "option" and self.select:
            self.options.append((value or "", "selected" in given))
        elif tag == "textarea":
            self.textarea, self.textarea_name = [], name

    def handle_data(self, data: str) -> None:
        if self.textarea is not None:
            self.textarea.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.is_inside = False
        elif tag == "select" and self.select:
            chosen = [value for value, is_selected in self.options if is_selected] or [self.options[0][0]]
            self.fields.append((self.select, chosen[0]))
            self.select = ""
        elif tag == "textarea" and self.textarea is not None:
            # A browser leaves out the line end right after the tag, and sends the others as CR LF.
            text = "".join(self.textarea).removeprefix("\r").removeprefix("\n")
            self.fields.append((self.textarea_name, text.replace("\r\n", "\n").replace("\n", "\r\n")))
            self.textarea = None


def form_of(html: str, form_id: str = "editor") -> dict[str, list[str]]:
    """Return what a form of a page would send if its first button was pressed, by the names of its fields."""
    form = _Form(form_id)
    form.feed(html)
    found: dict[str, list[str]] = {}
    for name, value in form.fields:
        found.setdefault(name, []).append(value)
    assert found, f"there is no form {form_id} on the page"
    return found


def version_of(html: str) -> str:
    """Return what the first form of a page carries, so that nobody overwrites what they have not seen."""
    found = re.search(r'name="version" value="([^"]+)"', html)
    assert found is not None
    return found[1]
