"""The two commands: a wrong Python is told in a sentence, and nothing is set up twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOLD = ("Makefile", "pyproject.toml", "README.md", ".ci/run")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")


@pytest.fixture(name="project")
def checkout(tmp_path: Path) -> Path:
    """A folder, with a space in its name, that holds what make looks at."""
    project = tmp_path / "a project"
    project.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, project)
    return project


def make(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # Flags of the make that runs these tests are not for this one.
    env = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAG"))}
    return subprocess.run(
        ["make", *words], cwd=project, env=env, capture_output=True, text=True, check=False
    )


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_missing_or_old_python_is_named(project: Path) -> None:
    for python in ("/nowhere/python3", str(script(project / "python3.9", "exit 1"))):
        said = make(project, f"PYTHON={python}", "install")
        assert said.returncode == 2
        assert f"No Python from 3.11 to 3.13 among: {python}." in said.stderr
        assert not (project / ".venv").exists()


def test_a_python_without_venv_leaves_nothing_half_made(project: Path) -> None:
    body = 'if [ "$1" = -m ]; then mkdir .venv; exit 1; fi'
    said = make(project, f"PYTHON={script(project / 'python3.12', body)}", "install")
    assert said.returncode == 2
    assert "apt-get install python3-venv" in said.stderr
    assert not (project / ".venv").exists()


def test_installs_once_for_each_pyproject(project: Path) -> None:
    log = project / "log"
    fake = script(project / "python3.11", "")
    # The interpreter of the environment notes what it is asked to do.
    fake.write_text(
        "#!/bin/sh\n"
        'if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; '
        f'elif [ "$1" = -m ]; then echo "$@" in $TMPDIR >> \'{log}\'; fi\n'
    )
    python = f"PYTHON={fake}"
    assert make(project, python, "install").returncode == 0
    assert make(project, python, "install").returncode == 0
    (asked,) = log.read_text().splitlines()
    assert asked == f"-m pip install --editable . in {project}/.venv/tmp"
    assert not (project / ".venv" / "tmp").exists()
    later = (project / ".venv" / ".installed").stat().st_mtime + 10
    os.utime(project / "pyproject.toml", (later, later))
    assert make(project, python, "install").returncode == 0
    assert len(log.read_text().splitlines()) == 2


def test_a_failed_install_is_tried_again(project: Path) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    script(project / ".venv" / "bin" / "python", "exit 1")
    assert make(project, "install-dev").returncode == 2
    assert not (project / ".venv" / ".installed-dev").exists()


def test_no_registry_is_named() -> None:
    for name in TOLD:
        text = (ROOT / name).read_text()
        assert "index-url" not in text, name
        assert "http" not in text, name
        assert "+cpu" not in text, name
