"""What the user set in the application, kept between starts (``preferences.toml``)."""

from __future__ import annotations

import contextlib
import os
import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from cnp_engine.errors import RunDirectoryError
from cnp_engine.files import absolute, write_atomic
from cnp_tui.glyphs import BY_MODE, Mode

RECENT = 12


@dataclass(frozen=True)
class Preferences:
    """Recents are newest first; ``glyphs`` None: what the locale can show."""

    theme: str = "cnp-dark"
    glyphs: Mode | None = None
    models: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    attacks: tuple[str, ...] = field(default=())

    def used(self, **paths: str | None) -> Preferences:
        """With ``models=...`` and so on at the head of their recents."""
        changed: dict[str, Any] = {
            name: tuple(dict.fromkeys((path, *getattr(self, name))))[:RECENT]
            for name, path in paths.items()
            if path
        }
        return replace(self, **changed)


def place() -> Path:
    """``$CNP_HOME/preferences.toml``, else the system's place for settings."""
    home = os.environ.get("CNP_HOME")
    if home:
        return absolute(home) / "preferences.toml"
    from platformdirs import user_config_path

    return user_config_path("cnp") / "preferences.toml"


def load() -> Preferences:
    """What was kept; the defaults where nothing was or it cannot be read."""
    try:
        raw = tomllib.loads(place().read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return Preferences()
    return replace(Preferences(), **dict(_sound(raw)))


def _sound(raw: dict[str, Any]) -> list[tuple[str, Any]]:
    """The entries that are what they should be: a hand-edited file must not stop the program."""
    kept: list[tuple[str, Any]] = []
    for item in fields(Preferences):
        value = raw.get(item.name)
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            kept.append((item.name, tuple(value)))
        elif isinstance(value, str) and (item.name == "theme" or value in BY_MODE):
            kept.append((item.name, value))
    return kept


def save(preferences: Preferences) -> None:
    """Best effort: a read-only home only forgets."""
    import tomli_w

    values = {name: value for name, value in asdict(preferences).items() if value is not None}
    with contextlib.suppress(RunDirectoryError):
        write_atomic(place(), tomli_w.dumps(values).encode())
