"""Run a notebook with parameters, and say which of our modules it uses.

Third-party packages are imported where they are needed: `imported_modules` is called for every notebook whenever the
workflow starts and must not wait for them.
"""

import ast
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entroscape.config.explain import nearest
from entroscape.digest import PACKAGE
from entroscape.errors import EntroscapeError, FileError
from entroscape.files import read_bytes, write_text

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from traitlets.config import Config

logger = logging.getLogger(__name__)

KERNEL = "python3"
_LONGEST_SOCKET = 90  # of the 108 bytes that Linux allows, the rest for the names of the channels
_TIMES = ("papermill", "execution", "ExecuteTime")  # metadata of cells that differ from run to run


def run(notebook: Path, parameters: Mapping[str, Any], *, output: Path, html: Path | None, log: Path) -> None:
    """Execute `notebook` with `parameters` into `log`; if all is well, write it to `output` and, as a page, to `html`.

    A notebook that fails stays in `log` as far as it came, and the earlier `output` as it was. Execution times are
    left out, so that equal runs give equal bytes. The kernel runs in the current folder with this environment's Python.

    Raises
    ------
    EntroscapeError
        If a parameter is unknown, has no value, or a cell fails.
    """
    _check_parameters(notebook, parameters)
    executed = _execute(notebook, parameters, log)
    import nbformat

    text = nbformat.writes(_timeless(executed))
    if html is not None:
        from entroscape.verbs.render import page

        write_text(page(nbformat.reads(text, as_version=4), notebook.stem), html)
    write_text(text + "\n", output)
    logger.info("%s: executed", notebook)


def imported_modules(notebook: Path, package: Path = PACKAGE) -> tuple[str, ...]:
    """Sorted names of the modules of `package` that the code cells import, packages above them not included.

    For `entroscape.digest.code_digest`, which follows the imports of these.
    """
    names = {name for node in _code(notebook) for name in _imported_names(node)}
    return tuple(sorted(name for name in names if _is_module(name, package)))


def _code(notebook: Path) -> Iterator[ast.AST]:
    """All syntax nodes of all code cells."""
    for number, cell in enumerate(_cells(notebook), start=1):
        if cell["cell_type"] == "code":
            try:
                yield from ast.walk(ast.parse("".join(cell["source"])))
            except SyntaxError as error:
                raise EntroscapeError(
                    f"{notebook}, cell {number}, line {error.lineno} is not valid Python: {error.msg}; correct it"
                ) from error


def _cells(notebook: Path) -> list[dict[str, Any]]:
    content = read_bytes(notebook)
    try:
        return [cell for cell in json.loads(content)["cells"] if {"cell_type", "source"} <= cell.keys()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(f"{notebook} is not a notebook of format 4: restore it from the repository") from error


def _imported_names(node: ast.AST) -> Iterator[str]:
    """Names that may be modules: `from a import b` gives both `a` and `a.b`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_module(name: str, package: Path) -> bool:
    top, *parts = name.split(".")
    place = package.joinpath(*parts)
    return top == package.name and ((place / "__init__.py").is_file() or place.with_suffix(".py").is_file())


def _check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Papermill would only warn about an unknown parameter, and the notebook would run with its default."""
    _cells(notebook)
    import papermill

    with _quiet():
        known = list(papermill.inspect_notebook(str(notebook)))
    listed = ", ".join(known) or "none"
    for name in parameters:
        if name not in known:
            raise EntroscapeError(f"{notebook} has no parameter {name!r}; it knows {listed}{nearest(name, known)}")
    missing = [name for name in known if parameters.get(name) is None]
    if missing:
        raise EntroscapeError(f"{notebook} gets no value for {', '.join(missing)}; all of {listed} must have one")


def _execute(notebook: Path, parameters: Mapping[str, Any], log: Path) -> "NotebookNode":
    import papermill

    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with _private_jupyter() as private, _quiet():
            executed: NotebookNode = papermill.execute_notebook(
                str(notebook),
                str(log),
                dict(parameters),
                kernel_name=KERNEL,
                progress_bar=False,
                log_output=False,
                config=_kernel_config(private),
            )
    except papermill.PapermillExecutionError as error:
        where = f"{notebook}, cell {_position(notebook, error.source)}"
        what = f"{error.ename}: {' '.join(str(error.evalue).split())}"
        raise EntroscapeError(f"{where}, stops with {what}; the notebook as far as it came is {log}") from None
    except RuntimeError as error:  # the kernel did not start, or died
        raise EntroscapeError(
            f"{notebook}: the process that ran it ended before the notebook did ({' '.join(str(error).split())}), as "
            f"when memory runs out; the notebook as far as it came is {log}"
        ) from error
    except OSError as error:
        raise FileError(f"{error.filename or log} cannot be written ({error.strerror}): remove the cause") from error
    return executed


def _position(notebook: Path, source: str) -> int | str:
    """Number of the cell as it is in the notebook in the repository, without the cell of parameters put in."""
    for number, cell in enumerate(_cells(notebook), start=1):
        if cell["cell_type"] == "code" and "".join(cell["source"]).strip() == source.strip():
            return number
    return "of given parameters"


def _timeless(notebook: "NotebookNode") -> "NotebookNode":
    """The notebook without times and without identifiers drawn at random; pieces of printed text are joined."""
    notebook.metadata.pop("papermill", None)
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number}"
        for name in _TIMES:
            cell.metadata.pop(name, None)
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    return notebook


def _joined(outputs: list) -> list:
    """Text printed to one stream in one output: in how many pieces it arrives is chance."""
    joined: list = []
    for output in outputs:
        if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _kernel_config(folder: Path) -> "Config":
    """A kernel that keeps its own log to itself and listens on sockets in a private folder, on no port."""
    from traitlets.config import Config

    config = Config(NotebookClient={"extra_arguments": [f"--log-level={logging.CRITICAL}"]})
    sockets = str(folder / "kernel")
    if len(sockets) <= _LONGEST_SOCKET:  # else local TCP ports, as by default
        config.KernelManager = Config(transport="ipc", ip=sockets)
    return config


@contextmanager
def _private_jupyter() -> Iterator[Path]:
    """Keep the user's own kernels, start-up scripts and history out, and runtime files out of the home folder."""
    with tempfile.TemporaryDirectory() as folder:
        private = dict.fromkeys(("IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"), folder)
        before = {name: os.environ.get(name) for name in private}
        os.environ.update(private)
        try:
            yield Path(folder)
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Papermill and the notebook client report every cell; what matters is in the exception."""
    loggers = [logging.getLogger(name) for name in ("papermill", "nbclient", "traitlets")]
    before = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in zip(loggers, before, strict=True):
            one.setLevel(level)
