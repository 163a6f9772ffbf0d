"""Stamps say where a file comes from, and two runs give the same."""

import json
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

from entroscape.config.sampler import Axis
from entroscape.config.settings import settings_json
from entroscape.files import read_dataset, read_table, write_dataset, write_table
from entroscape.provenance import stamp, versions

SETTINGS = Axis(min=-1, max=1, bin_width=0.5)


def example() -> dict:
    return stamp(
        SETTINGS, "0123456789abcdef", ["spiral", "0"], "cpu", updates=10, windows=[[-1, 1]], done=True, rate=0.5
    )


def test_versions_are_those_installed():
    found = versions()
    assert found["numpy"] == version("numpy")
    assert found["torch"] == version("torch")
    assert found["python"].startswith("3.")
    assert list(json.loads(json.dumps(found))) == list(found)


def test_stamp_carries_everything():
    attributes = example()
    assert attributes["settings"] == settings_json(SETTINGS)
    assert attributes["code_digest"] == "0123456789abcdef"
    assert json.loads(attributes["versions"]) == versions()
    assert attributes["seeds"] == ["spiral", "0"]
    assert attributes["device"] == "cpu"
    assert attributes["updates"] == 10 and attributes["rate"] == 0.5
    assert attributes["windows"] == "[[-1,1]]" and attributes["done"] == "true"


def test_settings_may_be_a_mapping_in_any_order():
    one, other = stamp({"b": 1, "a": None}, "", [], "cpu"), stamp({"a": None, "b": 1}, "", [], "cpu")
    assert one == other and one["settings"] == '{"a":null,"b":1}'


@pytest.mark.parametrize("value", [True, None, [], [True], [1, "a"], [1, 2.5], {"a": [1]}, [[1]]])
def test_what_attributes_cannot_hold_becomes_json(value):
    assert stamp({}, "", value, "cpu")["seeds"] == json.dumps(value, separators=(",", ":"))


def test_attributes_survive_both_formats(tmp_path: Path):
    write_dataset(xr.Dataset({"x": 1.0}, attrs=example()), tmp_path / "x.nc")
    stored = read_dataset(tmp_path / "x.nc").attrs
    assert {name: list(value) if name == "seeds" else value for name, value in stored.items()} == example()
    frame = pd.DataFrame({"x": [1.0]})
    frame.attrs = example()
    write_table(frame, tmp_path / "x.parquet")
    assert read_table(tmp_path / "x.parquet").attrs == example()


def test_two_stamps_are_equal_and_know_no_time():
    assert json.dumps(example()) == json.dumps(example())
    assert set(example()) == {
        "settings", "code_digest", "versions", "seeds", "device", "updates", "windows", "done", "rate",
    }  # fmt: skip


def test_extra_with_a_taken_name_is_refused():
    with pytest.raises(ValueError, match="versions cannot be given as an extra"):
        stamp({}, "", [], "cpu", versions="mine")


def test_values_that_are_not_data_are_refused():
    with pytest.raises(TypeError, match="not JSON serializable"):
        stamp({}, "", object(), "cpu")
