"""JSON schemas of the configuration files, for editors and other tools; generated, never edited by hand.

`python -m entroscape.config.jsonschema` (or `make schema`) writes them to workflow/schemas.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from entroscape.config.courses import Courses
from entroscape.config.schema import Claims, Experiment, Run, Scale
from entroscape.config.step_size import StepSizeStudy
from entroscape.files import write_text

FOLDER = Path("workflow/schemas")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, str]:
    """File name -> JSON text of each schema."""
    documents = {
        "claims": _schema(Claims),
        "courses": _schema(Courses),
        "experiment": _schema(Experiment),
        "run": _schema(Run),
        "scale": _scale_schema(),
        "step_size": _schema(StepSizeStudy),
    }
    return {f"{name}.schema.json": json.dumps(schema, indent=2) + "\n" for name, schema in documents.items()}


def main(arguments: Sequence[str] = ()) -> None:
    """Write the schemas to the folder that is named, or to workflow/schemas; raises FileError."""
    folder = Path(arguments[0]) if arguments else FOLDER
    for name, text in schemas().items():
        write_text(text, folder / name)


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"$schema": _DIALECT, **model.model_json_schema()}


def _scale_schema() -> dict[str, Any]:
    """A scale holds partial experiments, courses and a partial study: their schemas with nothing required."""
    schema = _schema(Scale)
    parts = {model.__name__: _optional(model.model_json_schema()) for model in (Experiment, Courses, StepSizeStudy)}
    definitions = {name: one for part in parts.values() for name, one in part.pop("$defs").items()}
    schema["properties"]["experiments"]["additionalProperties"] = {"$ref": "#/$defs/Experiment"}
    schema["properties"]["courses"] = {"$ref": "#/$defs/Courses"}
    schema["properties"]["step_size"] = {"$ref": "#/$defs/StepSizeStudy"}
    return {**schema, "$defs": {**definitions, **parts}}


def _optional(node: Any) -> Any:
    """The schema without its `required` lists, so that a part may fit several members of a union.

    No key of ours is called `required` or `oneOf`.
    """
    if isinstance(node, dict):
        members = {"oneOf": "anyOf"}
        return {members.get(key, key): _optional(value) for key, value in node.items() if key != "required"}
    return [_optional(value) for value in node] if isinstance(node, list) else node


if __name__ == "__main__":
    main(sys.argv[1:])
