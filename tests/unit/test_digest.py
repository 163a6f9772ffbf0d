"""The digest changes with the sources that are used, and with nothing else."""

import ast
import os
import time
from pathlib import Path

import pytest

from entroscape.digest import PACKAGE, code_digest, module_closure
from entroscape.errors import EntroscapeError

SOURCES = {
    "__init__.py": "",
    "alone.py": "import json\nimport numpy as np\n",
    "uses.py": "from pack.deep import inner\nfrom pack.deep.other import thing as t\n",
    "plain.py": "import pack.deep.inner\n",
    "lazy.py": "def f():\n    import pack.alone\n    from pack import uses\n",
    "typed.py": "from typing import TYPE_CHECKING\n"
    "if TYPE_CHECKING:\n    import pack.alone\nelse:\n    import pack.lazy\n",
    "guarded.py": "try:\n    import pack.alone\nexcept ImportError:\n    from pack import lazy\n"
    "class C:\n    import pack.plain\n",
    "circle.py": "from pack import back\n",
    "back.py": "from pack import circle\n",
    "stranger.py": "import package.alone\nfrom packer import alone\n",
    "deep/__init__.py": "from .other import thing\n",
    "deep/inner.py": "from . import sibling\nfrom .. import alone\n",
    "deep/other.py": "from .sibling import x\nthing = 1\n",
    "deep/sibling.py": "x = 1\n",
}
DEEP = {"pack", "pack.deep", "pack.deep.other", "pack.deep.sibling"}


@pytest.fixture
def pack(tmp_path) -> Path:
    for name, source in SOURCES.items():
        (tmp_path / "pack" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pack" / name).write_text(source)
    return tmp_path / "pack"


@pytest.mark.parametrize(
    ("module", "closure"),
    [
        ("pack", {"pack"}),
        ("pack.alone", {"pack", "pack.alone"}),
        ("pack.deep", DEEP),
        ("pack.deep.sibling", DEEP),
        ("pack.deep.inner", DEEP | {"pack.deep.inner", "pack.alone"}),
        ("pack.uses", DEEP | {"pack.uses", "pack.deep.inner", "pack.alone"}),
        ("pack.plain", DEEP | {"pack.plain", "pack.deep.inner", "pack.alone"}),
        ("pack.lazy", {"pack", "pack.lazy"}),
        ("pack.typed", {"pack", "pack.typed", "pack.lazy"}),
        ("pack.guarded", DEEP | {"pack.guarded", "pack.alone", "pack.lazy", "pack.plain", "pack.deep.inner"}),
        ("pack.circle", {"pack", "pack.circle", "pack.back"}),
        ("pack.stranger", {"pack", "pack.stranger"}),
    ],
)
def test_closure_follows_what_importing_executes(pack, module, closure):
    assert module_closure(module, package=pack) == tuple(sorted(closure))


def test_closure_of_several_is_the_union(pack):
    both = module_closure("pack.alone", "pack.circle", package=pack)
    assert both == ("pack", "pack.alone", "pack.back", "pack.circle")


@pytest.mark.parametrize("changed", SOURCES)
def test_digest_changes_exactly_with_the_modules_in_the_closure(pack, changed):
    name = changed.removesuffix(".py").replace("/", ".")
    module = ".".join(part for part in ("pack", *name.split(".")) if part != "__init__")
    before = code_digest("pack.uses", package=pack)
    with (pack / changed).open("a") as file:
        file.write("# a comment counts too\n")
    used = module in module_closure("pack.uses", package=pack)
    assert (code_digest("pack.uses", package=pack) != before) == used


def test_digest_sees_a_new_import_at_once(pack):
    assert "pack.circle" not in module_closure("pack.alone", package=pack)
    (pack / "alone.py").write_text("from pack import circle\n")
    assert "pack.circle" in module_closure("pack.alone", package=pack)


def test_digest_ignores_times_place_and_order(pack, tmp_path):
    before = code_digest("pack.uses", "pack.lazy", package=pack)
    for file in pack.rglob("*.py"):
        os.utime(file, (1, 1))
    assert code_digest("pack.lazy", "pack.uses", "pack.uses", package=pack) == before
    moved = tmp_path / "elsewhere" / "pack"
    moved.parent.mkdir()
    pack.rename(moved)
    assert code_digest("pack.uses", "pack.lazy", package=moved) == before


def test_moving_text_from_one_module_to_another_changes_the_digest(pack):
    before = code_digest("pack.circle", package=pack)
    first, second = (pack / "back.py").read_text(), (pack / "circle.py").read_text()
    (pack / "back.py").write_text(second)
    (pack / "circle.py").write_text(first)
    assert code_digest("pack.circle", package=pack) != before


@pytest.mark.parametrize("name", ["pack.nothing", "other.alone", "pack.deep.", "alone"])
def test_unknown_module_is_refused(pack, name):
    with pytest.raises(EntroscapeError, match="is not a module of"):
        code_digest(name, package=pack)


def test_broken_source_names_file_and_line(pack):
    (pack / "alone.py").write_text("x = 1\ndef (\n")
    with pytest.raises(EntroscapeError, match=r"alone\.py, line 2 is not valid Python"):
        code_digest("pack.uses", package=pack)


def all_modules() -> list[str]:
    parts = [("entroscape", *path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")]
    return [".".join(part for part in names if part != "__init__") for names in parts]


def test_own_package_is_digested():
    digest = code_digest("entroscape.digest")
    assert len(digest) == 16 and int(digest, 16) >= 0
    assert module_closure("entroscape.digest") == ("entroscape", "entroscape.digest", "entroscape.errors")
    assert set(module_closure(*all_modules())) == set(all_modules())


def test_digest_of_everything_is_fast():
    """A workflow takes one digest per rule each time it is read; parsing all sources anew would be felt."""
    modules = all_modules()
    code_digest(*modules)
    started = time.process_time()
    code_digest(*modules)
    assert time.process_time() - started < 0.05


def test_nothing_is_imported_to_find_out(pack):
    (pack / "alone.py").write_text("raise RuntimeError('imported')\n")
    assert "pack.alone" in module_closure("pack.uses", package=pack)
    assert ast.parse((pack / "alone.py").read_text()).body
