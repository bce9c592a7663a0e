"""What is installed, what importing it does, and which layers may know which."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fastadl

ROOT = Path(__file__).parent.parent
PUBLIC = [name for name in fastadl.__all__ if name != "__version__"]


def python(program: str, *options: str) -> str:
    """What a program prints in a fresh interpreter, where warnings are errors."""
    command = [sys.executable, "-W", "error", *options, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(fastadl, name).__doc__
    assert name in dir(fastadl)


def test_a_name_that_does_not_exist_says_so() -> None:
    with pytest.raises(AttributeError, match="'fastadl' has no attribute 'Bok'"):
        fastadl.Bok  # noqa: B018


def test_type_checkers_see_the_public_names() -> None:
    shown = (ROOT / "fastadl" / "__init__.py").read_text("utf-8").partition("\n#: Public name")[0]
    assert [name for name in PUBLIC if f"import {name} as {name}\n" not in shown] == []


def test_importing_loads_nothing_heavy_and_leaves_numba_alone() -> None:
    loaded = python("import sys, fastadl; print(*sorted(sys.modules))").split()
    assert "fastadl" in loaded
    assert {"numpy", "numba", "polars", "rich", "cyclopts", "msgspec"}.isdisjoint(loaded)


def test_a_command_loads_what_it_needs_and_no_more() -> None:
    loaded = python("import sys, fastadl.cli; print(*sorted(sys.modules))").split()
    assert "cyclopts" in loaded
    assert {"numpy", "numba", "polars", "altair"}.isdisjoint(loaded)  # those of bench come after its rivals


def test_importing_takes_less_than_half_a_second_of_a_core() -> None:
    program = "import time; t = time.process_time(); import fastadl; print(time.process_time() - t)"
    assert min(float(python(program)) for _ in range(3)) < 0.5


@pytest.mark.jit
def test_importing_every_module_compiles_nothing() -> None:
    program = """
import importlib, os, pkgutil, fastadl, polars
from numba.core import event
before = dict(os.environ)
class Refuse(event.Listener):
    def on_start(self, happened): raise AssertionError(happened.data["dispatcher"])
    def on_end(self, happened): pass
event.register("numba:compile", Refuse())
for module in pkgutil.walk_packages(fastadl.__path__, "fastadl."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from fastadl.kernels._jit import compiled
print(len(compiled), sum(len(kernel.signatures) for kernel in compiled.values()), before == dict(os.environ))
"""
    kernels, signatures, same = python(program).split()
    assert int(kernels) > 10
    assert (signatures, same) == ("0", "True")


@pytest.mark.parametrize("missing", ["cyclopts", "rich", "msgspec"])
def test_without_an_optional_package_the_command_line_names_the_extra(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from fastadl.__main__ import main; print(main())"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "2\n"
    assert done.stderr == (
        f'fastadl: {missing} is not installed: pip install "fastadl[cli]" brings the command line\n'
    )


def test_the_wheel_carries_the_rules_the_types_and_the_licence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob(f"fastadl-{fastadl.__version__}-py3-none-any.whl")
    inside = zipfile.ZipFile(wheel).namelist()
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "fastadl").rglob("*.py")}
    assert sources | {"fastadl/docs/rules.md", "fastadl/docs/examples.md", "fastadl/py.typed"} <= set(inside)
    assert any(name.endswith("licenses/LICENSE") for name in inside)
    assert not [name for name in inside if not name.startswith(("fastadl/", "fastadl-"))]


VIOLATIONS = {
    "a layer below imports one above": ("errors.py", "import fastadl.engine"),
    "a kernel imports the package": ("kernels/wide.py", "import fastadl.errors"),
    "a kernel imports its twin": ("kernels/wide.py", "import fastadl.reference"),
    "the core imports an optional package": ("book.py", "import rich"),
    "a module that has no layer": ("stray.py", ""),
}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)


def test_imports_point_down() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_the_layers_are_guarded(violation: str, tmp_path: Path) -> None:
    module, line = VIOLATIONS[violation]
    shutil.copytree(ROOT / "fastadl", tmp_path / "fastadl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "fastadl" / module).open("a") as source:
        source.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert "BROKEN" in done.stdout or "marked as 'exhaustive'" in done.stdout
