"""All of export but its pictures is light: a front end may import it."""

from __future__ import annotations

import subprocess
import sys

LIGHT = ("report", "plots", "summary", "masks_file", "command", "curve")


def test_imports_no_torch() -> None:
    modules = ", ".join(f"cnp_engine.export.{name}" for name in LIGHT)
    code = (
        f"import sys, {modules}\n"
        "print(sorted({'torch', 'numpy', 'PIL', 'matplotlib'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
