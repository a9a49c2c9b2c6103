"""Pages: whatever a name holds shows as text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from fuzzing import ODD_TEXTS

from understudy.printable import printable
from understudy.stages.html_page import render_page


class Reader(HTMLParser):
    """The texts of a page, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)


@pytest.mark.parametrize("odd", ODD_TEXTS, ids=lambda odd: ascii(odd[:16]))
def test_any_name_shows_as_text(odd: str) -> None:
    plots = [{"title": odd, "note": odd, "svg": "<svg></svg>", "names": [odd]}]
    page = render_page(
        "history.html", show=odd, plots=plots, events=[(odd, 1.0, odd)], outlooks={odd: odd}
    )
    page.encode("utf-8")
    reader = Reader()
    reader.feed(page)
    assert f"History of {printable(odd)}" in reader.texts and "script" not in reader.tags
    assert all(line.isprintable() for line in page.split("\n"))
