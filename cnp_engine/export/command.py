"""The exact command that repeats a run: what was not left at its default, quoted for a shell."""

from __future__ import annotations

import shlex

from cnp_engine import settings
from cnp_engine.config import PRESETS, RunConfig

OPTIONS: dict[str, str] = {
    "model": "--model",
    "data": "--data",
    "arch": "--arch",
    "classes": "--classes",
    "normalize": "--normalize",
    "clean": "--clean",
    "clean_dir": "--clean-dir",
    "attack": "--attack",
    "trigger": "--trigger",
    "targets": "--target",
    "defense": "--defense",
    "preset": "--preset",
    "device": "--device",
    "seed": "--seed",
}
"""Settings whose own option takes a value; every other is ``--set key=value``."""


def command_line(config: RunConfig) -> str:
    """``cnp run ...`` for a POSIX shell. A setting that the preset gives is not repeated."""
    base = PRESETS[config.preset]
    words = ["cnp", "run"]
    for item in settings.catalogue(RunConfig).values():
        value = config.values()[item.key]
        default = item.default if item.required else base.get(item.key, item.default)
        if value == default:
            continue
        words += _words(item.key, settings.show(value))
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    """``word`` for a shell, on one line and printable whatever a path holds.

    Bytes that do not print are spelled $'\\x1b', which bash, zsh and ksh know.
    """
    if word.isprintable():
        return shlex.quote(word)
    spelled = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}"
        for byte in word.encode("utf-8", "surrogateescape")
    )
    return f"$'{spelled}'"


def _words(key: str, value: str) -> list[str]:
    option = OPTIONS.get(key)
    if option is None:
        return ["--set", f"{key}={value}"]
    # A value that looks like an option has to be tied to its own.
    return [f"{option}={value}"] if value.startswith("-") else [option, value]
