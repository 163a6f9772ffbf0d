"""Notebooks run with exactly the parameters they know, fail in one sentence, and give equal bytes."""

import json
import logging
import os
from pathlib import Path

import course_inputs
import figure_inputs as inputs
import nbformat
import pytest
from shipped_notebooks import run_cells

from entroscape.digest import code_digest
from entroscape.errors import EntroscapeError, FileError
from entroscape.files import write_dataset, write_table
from entroscape.parameters import require
from entroscape.verbs import notebook as verb

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
MADE_ELSEWHERE = {"GR-1", "GR-2"}  # test_grokking_figures.py runs them
FRACTIONS = (50, 60, 70, 80)
COURSES = {
    "GR-3": ["add_wand", "add"],
    "GR-5": ["add", "square", "cubic"],
    "GR-6": ["add_norm_32", "add_norm_64", "add_norm_128"],
    "GR-7": [*("add", "add_60", "add_70", "add_80"), *("add_wand", "add_wand_60", "add_wand_70", "add_wand_80")],
    "GR-8": [
        *(f"square_{kind}_{percent}" for kind in ("adamw", "wand") for percent in FRACTIONS),
        *("square_wand_printed", "square_wand_honest"),
    ],
    "GR-T1": ["add_norm_32", "add_norm_64", "add_norm_128", "add", "square", "cubic", "add_wand"],
}
PARAMETERS = "number = None  # a number\ntext = None"


def write_notebook(path: Path, *cells: str, parameters: str = PARAMETERS) -> Path:
    made = [nbformat.v4.new_markdown_cell("# A notebook"), nbformat.v4.new_code_cell(parameters)]
    made[1].metadata["tags"] = ["parameters"]
    made += [nbformat.v4.new_code_cell(cell) for cell in cells]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel})))
    return path


def places(folder: Path) -> dict[str, Path]:
    return {"output": folder / "out/a.ipynb", "html": folder / "out/a.html", "log": folder / "logs/a.ipynb"}


GIVEN = {"number": 3, "text": "x"}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The same notebook, run twice: folders of the two runs, and the notebook."""
    folder = tmp_path_factory.mktemp("executed")
    cells = (
        "for i in range(30): print(i, flush=True)",
        "import os\nos.path.samefile(os.environ['IPYTHONDIR'], os.environ['JUPYTER_DATA_DIR'])",
        "number * 2",
    )
    notebook = write_notebook(folder / "a.ipynb", *cells)
    before = dict(os.environ)
    for number in "12":
        verb.run(notebook, GIVEN, **places(folder / number))
    assert dict(os.environ) == before
    return folder


def test_output_holds_the_results(executed):
    cells = nbformat.read(executed / "1/out/a.ipynb", as_version=4).cells
    assert cells[-1].outputs[0]["data"]["text/plain"] == "6"
    assert [output.output_type for output in cells[-3].outputs] == ["stream"]


def test_users_own_startup_scripts_stay_out(executed):
    cells = nbformat.read(executed / "1/out/a.ipynb", as_version=4).cells
    assert cells[-2].outputs[0]["data"]["text/plain"] == "True"


def test_page_needs_nothing_else(executed):
    page = (executed / "1/out/a.html").read_text()
    assert "A notebook" in page and "<script" not in page and "http" not in page


def test_nothing_in_the_output_tells_the_time(executed):
    metadata = json.loads((executed / "1/out/a.ipynb").read_text())
    assert "papermill" not in metadata["metadata"]
    for cell in metadata["cells"]:
        assert not {"papermill", "execution"} & cell["metadata"].keys()


def test_failing_cell_is_named_and_the_notebook_kept_in_the_log(tmp_path, caplog, capfd):
    notebook = write_notebook(tmp_path / "a.ipynb", "seen = 41 + 1\nseen", "def f():\n    return 1 / 0\nf()", "number")
    at = places(tmp_path)
    at["output"].parent.mkdir()
    at["output"].write_text("earlier")
    with caplog.at_level(logging.INFO), pytest.raises(EntroscapeError) as caught:
        verb.run(notebook, GIVEN, **at)
    assert str(caught.value) == (
        f"{notebook}, cell 4, stops with ZeroDivisionError: division by zero; "
        f"the notebook as far as it came is {at['log']}"
    )
    assert at["output"].read_text() == "earlier" and not at["html"].exists()
    kept = nbformat.read(at["log"], as_version=4)
    outputs = [output for cell in kept.cells if cell.cell_type == "code" for output in cell.outputs]
    assert outputs[0]["data"]["text/plain"] == "42" and outputs[-1]["ename"] == "ZeroDivisionError"
    assert not caplog.records and capfd.readouterr() == ("", "")


def test_dead_kernel_is_a_clear_error(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", "import os\nos._exit(9)")
    with pytest.raises(EntroscapeError, match="ended before the notebook did"):
        verb.run(notebook, GIVEN, **places(tmp_path))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"nubmer": 3, "text": "x"}, "has no parameter 'nubmer'; it knows number, text; did you mean number?"),
        ({"number": 3}, "gets no value for text; all of number, text must have one"),
        ({"number": None, "text": None}, "gets no value for number, text; all of number, text must have one"),
    ],
)
def test_parameters_are_checked_before_anything_runs(tmp_path, given, message):
    notebook = write_notebook(tmp_path / "a.ipynb")
    with pytest.raises(EntroscapeError) as caught:
        verb.run(notebook, given, **places(tmp_path))
    assert str(caught.value) == f"{notebook} {message}"
    assert list(tmp_path.iterdir()) == [notebook]


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]"])
def test_file_that_is_no_notebook(tmp_path, content):
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    with pytest.raises(FileError, match="is not a notebook"):
        verb.run(path, GIVEN, **places(tmp_path))


def test_imported_modules_are_those_of_the_cells(tmp_path):
    notebook = write_notebook(
        tmp_path / "a.ipynb",
        "import json\nimport entroscape.errors\nfrom entroscape.plotting import landscape, style as look",
        "from entroscape.files import read_table\nfrom numpy import array",
        "if number:\n    from entroscape.landscape.curves import equilibrium",
    )
    assert verb.imported_modules(notebook) == (
        "entroscape.errors",
        "entroscape.files",
        "entroscape.landscape.curves",
        "entroscape.plotting",
        "entroscape.plotting.landscape",
        "entroscape.plotting.style",
    )


def test_cell_that_is_not_python_is_named(tmp_path):
    with pytest.raises(EntroscapeError, match=r"cell 3, line 2 is not valid Python"):
        verb.imported_modules(write_notebook(tmp_path / "a.ipynb", "x = 1\n%matplotlib inline"))


def test_require_names_what_is_missing():
    require(a=1, b="")
    with pytest.raises(EntroscapeError, match="no value for a, c"):
        require(a=None, b=0, c=None)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_shipped_notebooks_are_clean_and_usable(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.cells[0].cell_type == "markdown" and notebook.metadata.kernelspec.name == "python3"
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    (parameters,) = (cell for cell in code if "parameters" in cell.metadata.get("tags", []))
    assert all(" = None  # " in line for line in parameters.source.splitlines())
    names = [line.split(" =")[0] for line in parameters.source.splitlines()]
    check = code[code.index(parameters) + 1].source
    assert all(f"{name}={name}" in check for name in names)
    assert "entroscape.files" in verb.imported_modules(path)
    assert len(code_digest(*verb.imported_modules(path))) == 16


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What the workflow would give to the notebooks."""
    folder = tmp_path_factory.mktemp("files")
    sampled = inputs.landscape()
    write_dataset(inputs.points().to_dataset(), folder / "data.nc")
    write_dataset(inputs.regression_data().to_dataset(), folder / "prices.nc")
    write_dataset(inputs.image_data(2, 1, "digits in place of dogs").to_dataset(), folder / "images.nc")
    write_dataset(sampled, folder / "landscape.nc")
    write_dataset(inputs.published(), folder / "published.nc")
    write_table(inputs.curve_table(sampled), folder / "curves.parquet")
    write_table(inputs.low_loss_table(), folder / "low_loss.parquet")
    write_table(inputs.training(), folder / "training.parquet")
    for name, kind, points in (
        ("price", "ln_test_loss", None),
        ("image", "smoothed_accuracy_logit", None),
        ("few", "smoothed_accuracy_logit", 10),
    ):
        task = inputs.task(kind, experiment=name, train_points=points, walkers=2, visits=300)
        write_dataset(task.landscape, folder / f"{name}.landscape.nc")
        for part in ("training", "curves", "low_loss"):
            write_table(getattr(task, part), folder / f"{name}.{part}.parquet")
    return folder


def task_parameters(files: Path, data: str, name: str = "") -> dict:
    """What a notebook about one task is given."""
    found = {part: str(files / f"{name}{part}.parquet") for part in ("training", "curves", "low_loss")}
    return {"data": str(files / data), "landscape": str(files / f"{name}landscape.nc"), **found}


def lists(*tasks: dict, without: tuple[str, ...] = ()) -> dict:
    """What a notebook about several tasks is given."""
    plural = {"landscape": "landscapes"}
    return {plural.get(name, name): [task[name] for task in tasks] for name in tasks[0] if name not in without}


def course_parameters(name: str, folder: Path) -> dict:
    """What a notebook about courses of training is given; their tables are written to the folder."""
    if name == "GR-4":
        return {"operations": ["add", "square", "cubic"], "modulus": 67}
    tables = {course: course_inputs.course(course, runs=3).table for course in COURSES.get(name, [])}
    if name == "GR-9":
        tables["search"] = course_inputs.search()
    if name == "GR-T1":
        tables["step_cost"] = course_inputs.step_cost([(0.02, 0.019), (0.021, 0.02), (0.02, 0.02)])
    paths = {table: str(folder / f"{table}.parquet") for table in tables}
    for table, path in paths.items():
        write_table(tables[table], path)
    others = {key: paths[key] for key in ("search", "step_cost") if key in paths}
    return others | ({"courses": [paths[course] for course in COURSES[name]]} if name in COURSES else {})


def figure_parameters(name: str, files: Path, folder: Path) -> dict:
    price, image, few = (
        task_parameters(files, data, f"{name}.")
        for name, data in (("price", "prices.nc"), ("image", "images.nc"), ("few", "images.nc"))
    )
    maps = {key: str(files / f"{key}.nc") for key in ("landscape", "published")}
    inputs_of = {
        "EA-1": task_parameters(files, "data.nc"),
        "EA-2": price,
        "EA-3": {**lists(image, image), "titles": ["MNIST", "Cats and dogs"]},
        "EA-4": price,
        "EA-5": {
            "low_loss": [str(files / "low_loss.parquet"), price["low_loss"]],
            "landscapes": [maps["landscape"], price["landscape"]],
            "confidence": {"spiral": 0.95, "price": 0.9},
            "titles": {"spiral": "Two spirals", "price": "House prices"},
        },
        "EA-6": price,
        "EA-7": {**lists(few, image, without=("training", "data")), "data": image["data"], "confidence": 0.95},
        "EA-8": {
            "reference": [maps["landscape"]],
            "published": [maps["published"]],
            "compared": [image["landscape"]],
            "methods": ["wlmd"],
            "step_size": [],
            "landscapes": [maps["landscape"], price["landscape"], image["landscape"]],
            "stand_ins": ["image: digits in place of dogs"],
        },
    }
    nothing = dict(reference=[], published=[], compared=[], methods=[], step_size=[], stand_ins=[])
    inputs_of["GR-10"] = {**nothing, "landscapes": [price["landscape"], image["landscape"]]}
    given = inputs_of[name] if name in inputs_of else course_parameters(name, folder)
    outputs = {kind: str(folder / f"figure.{kind}") for kind in ("png", "pdf", "csv")}
    return {"figure": name, "title": "a title", "scale": "smoke", "watermark": "SMOKE", **given, **outputs}


@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path.stem not in MADE_ELSEWHERE], ids=lambda path: path.stem
)
@pytest.mark.filterwarnings("error")
def test_shipped_notebooks_make_their_figures(path, files, tmp_path, capsys):
    run_cells(path.stem, figure_parameters(path.stem, files, tmp_path))
    assert all((tmp_path / f"figure.{kind}").stat().st_size > 500 for kind in ("png", "pdf", "csv"))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a.ipynb", "a.html"])
def test_equal_runs_give_equal_bytes(executed, name):
    first, second = ((executed / number / "out" / name).read_bytes() for number in "12")
    assert first == second
