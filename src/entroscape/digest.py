"""Digests of our own source code: which modules a piece of work uses, and whether they have changed.

A rule that carries the digest of its verb's module reruns when that module, or anything of ours that it imports,
changes, and only then. Nothing is imported to find out: sources are parsed, which takes milliseconds.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from entroscape.errors import EntroscapeError, FileError

PACKAGE = Path(__file__).parent
# The configuration acts on a piece of work through its settings alone, and these are tracked by value: a new key or
# another data set in the schema must not redo what never sees it.
UNTRACKED = "config"


def code_digest(*modules: str, package: Path = PACKAGE) -> str:
    """First 16 hex digits of the sha256 over names and sources of `module_closure(*modules)`.

    Every byte of the sources counts, comments included; file times do not.
    """
    digest = hashlib.sha256()
    for module in module_closure(*modules, package=package):
        source = _source(module, package)
        digest.update(f"{module} {len(source)}\n".encode() + source)
    return digest.hexdigest()[:16]


def module_closure(*modules: str, package: Path = PACKAGE) -> tuple[str, ...]:
    """Sorted names of `modules` and of all modules of `package` that importing them would execute.

    Counted are imports at the top level of a module (also within if, try, with and class, but not under
    TYPE_CHECKING) and the packages above each module. Imports inside functions do not count: a verb that
    dispatches lazily names its module itself. Raises EntroscapeError for a name that is no module of `package`.
    """
    for module in modules:
        if _file(module, package) is None:
            raise EntroscapeError(f"{module} is not a module of {package}: name one of its modules, dots between")
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        waiting += _direct(module, _file(module, package), _source(module, package), package)
    return tuple(sorted(found))


def _file(module: str, package: Path) -> Path | None:
    """Source file of a module of `package`; None when there is none."""
    top, *parts = module.split(".")
    if top != package.name or not all(parts):
        return None
    place = package.joinpath(*parts)
    if (place / "__init__.py").is_file():
        return place / "__init__.py"
    return place.with_suffix(".py") if parts and place.with_suffix(".py").is_file() else None


def _source(module: str, package: Path) -> bytes:
    file = _file(module, package)
    try:
        return file.read_bytes() if file else b""
    except OSError as error:
        raise FileError(f"{file} cannot be read ({error.strerror}): make it readable and run again") from error


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


@lru_cache(maxsize=1024)  # keyed by the source itself; no module comes or goes while the workflow starts
def _direct(module: str, file: Path, source: bytes, package: Path) -> list[str]:
    """Modules that importing this one executes right away: those above it, and those it imports."""
    tracked = [name for name in _imports(module, file, source) if name.split(".")[1:2] != [UNTRACKED]]
    return _parents(module) + [name for name in tracked if _file(name, package) is not None]


def _imports(module: str, file: Path, source: bytes) -> tuple[str, ...]:
    """Names that may be modules: `from a import b` gives both `a` and `a.b`."""
    try:
        tree = ast.parse(source, filename=str(file))
    except SyntaxError as error:
        raise EntroscapeError(f"{file}, line {error.lineno} is not valid Python: {error.msg}") from error
    here = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return tuple(dict.fromkeys(name for node in _top_level(tree) for name in _names(node, here)))


def _top_level(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements that run when the module is imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and _is_type_checking(node.test):
            yield from _top_level(ast.Module(node.orelse, []))
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.expr):
            yield from _top_level(node)


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _names(node: ast.Import | ast.ImportFrom, here: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        parts = here.split(".")
        anchor = parts[: len(parts) - (node.level - 1)]
        base = ".".join([*anchor, base] if base else anchor)
    yield base
    yield from (f"{base}.{alias.name}" for alias in node.names)
