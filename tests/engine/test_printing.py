"""What a stranger's text becomes before it is shown."""

from __future__ import annotations

import pytest

from cnp_engine.printing import name_some, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\u202eb", r"a\u202eb"),
        ("a\nb", r"a\nb"),
        ("日本\u3000語", "日本\u3000語"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("me\u0301", "me\u0301"),
        ("a\udcffb", r"a\udcffb"),
    ],
)
def test_what_does_not_print_is_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_are_kept_where_asked_and_length_is_bounded() -> None:
    assert printable("a\nb\x07", keep="\n") == "a\nb\\x07"
    assert printable("abcdef", 3) == "abc"


def test_the_first_few_are_named() -> None:
    assert name_some(["a", "b"]) == "a, b"
    assert name_some(map(str, range(2000))) == "0, 1, 2 and 1,997 more"
    assert name_some(["x" * 500, "\x07"]) == "x" * 200 + r", \x07"
