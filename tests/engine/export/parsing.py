"""A strict enough reader of HTML: what opens closes, in order; and what it would load or run."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = frozenset({"meta", "img", "br", "hr"})
LOADS = frozenset({"src", "href", "data", "action", "poster", "srcset", "xlink:href"})


class Page(HTMLParser):
    """Elements with attributes, texts, and every complaint; ``close`` once all is fed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.complaints: list[str] = []
        self.feed(text)
        self.close()
        self.complaints += [f"<{tag}> never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) != len(names):
            self.complaints.append(f"<{tag}> repeats an attribute")
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.complaints.append(f"</{tag}> out of place")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.complaints.append(f"comment {data!r}")

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    @property
    def loads(self) -> list[str]:
        return [
            value for _, attrs in self.elements for name, value in attrs.items() if name in LOADS
        ]

    @property
    def handlers(self) -> list[str]:
        return [name for _, attrs in self.elements for name in attrs if name.startswith("on")]

    def text(self) -> str:
        return " ".join(self.texts)
