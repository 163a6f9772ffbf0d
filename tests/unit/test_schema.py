"""The JSON schemas say the same as the pydantic models, and lie where editors look for them."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from entroscape.config import jsonschema as generated
from entroscape.config.document import read_document
from entroscape.config.schema import Experiment, Run, Scale

ROOT = Path(__file__).parents[2]
CONFIGS = {path.relative_to(ROOT / "config").as_posix(): path for path in (ROOT / "config").rglob("*.yaml")}


def schema_of(name: str) -> dict:
    kinds = {"experiments": "experiment", "scales": "scale"} | {
        f"{name}.yaml": name for name in ("claims", "courses", "step_size")
    }
    kind = kinds.get(name.split("/")[0], "run")
    return json.loads((ROOT / f"workflow/schemas/{kind}.schema.json").read_text())


def test_committed_schemas_are_those_of_the_models():
    committed = {path.name: path.read_text() for path in (ROOT / "workflow/schemas").glob("*.json")}
    assert committed == generated.schemas(), "run `make schema`"


def test_writing_them_gives_the_same_files(tmp_path):
    generated.main([str(tmp_path)])
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == generated.schemas()


@pytest.mark.parametrize("name", CONFIGS)
def test_shipped_files_fit_their_schema_and_name_it(name):
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(read_document(CONFIGS[name]), schema)
    link = re.search(r"\$schema=(\S+)", CONFIGS[name].read_text().splitlines()[0])
    assert link is not None
    assert json.loads((CONFIGS[name].parent / link[1]).read_text()) == schema


@pytest.mark.parametrize(
    ("name", "keys", "value"),
    [
        ("config.yaml", ["devise"], "cpu"),
        ("config.yaml", ["device"], "gpu"),
        ("experiments/spiral.yaml", ["model", "depth"], 0),
        ("experiments/spiral.yaml", ["data", "nois"], 0.1),
        ("experiments/spiral.yaml", ["sampler", "main", "windows"], [[-1, 0, 1]]),
        ("scales/smoke.yaml", ["experiments", "spiral", "model", "depht"], 3),
        ("scales/smoke.yaml", ["experiments", "spiral", "model", "widths"], ["6"]),
        ("scales/smoke.yaml", ["titel"], "x"),
    ],
)
def test_schema_sees_mistakes_as_the_models_do(name, keys, value):
    document = read_document(CONFIGS[name])
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema_of(name))


@pytest.mark.parametrize("model", [Experiment, Run, Scale])
def test_models_are_closed_and_immutable(model):
    assert model.model_config["extra"] == "forbid" and model.model_config["frozen"]
