"""The notebooks of the project, run without a kernel of their own."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "notebooks"


def run_cells(name: str, parameters: dict[str, Any]) -> None:
    """Execute the code of a notebook here, with these parameters in place of its own."""
    space: dict[str, Any] = {}
    for cell in json.loads((FOLDER / f"{name}.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)
            if "parameters" in cell["metadata"].get("tags", []):
                space.update(parameters)
