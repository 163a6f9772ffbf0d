"""All descriptions of the environment say the same."""

import re
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
ENVS = ROOT / "envs"


def conda() -> list:
    return yaml.safe_load((ENVS / "entroscape.yaml").read_text())["dependencies"]


def test_conda_environment_has_the_pins_of_the_lock():
    lock = (ENVS / "requirements.lock").read_text().splitlines()
    pins = [line.strip() for line in lock if line.strip() and not line.startswith("#")]
    assert next(entry["pip"] for entry in conda() if isinstance(entry, dict)) == pins
    assert "torch==2.13.0" in pins


@pytest.mark.parametrize(
    ("recipe", "copied"), [("Dockerfile", r"COPY (.*) /\S+"), ("entroscape.def", r"    (\S+) /entroscape/")]
)
def test_containers_install_the_lock_on_the_python_of_conda(recipe, copied):
    text = (ENVS / recipe).read_text()
    (python,) = re.findall(r"[Ff](?:rom|ROM):? python:(\S+)-slim", text)
    assert f"python={python}" in conda()
    assert len(re.findall(r"pip install .*--requirement requirements\.lock", text)) == 1
    assert len(re.findall(r"pip install .*--no-deps", text)) == len(re.findall("pip install", text)) - 1
    files = {name for line in re.findall(copied, text) for name in line.split()}
    assert files == {"envs/requirements.lock", "pyproject.toml", "README.md", "src"}
    assert all((ROOT / name).exists() for name in files)


def test_pins_hold_for_every_python_that_is_allowed():
    """Debian 12 has Python 3.11.2, for which some packages have no release any more."""
    lock = (ENVS / "requirements.lock").read_text()
    wanted = {name: metadata(name)["Requires-Python"] for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    pythons = ["3.11.0", "3.13.0"]
    refused = {
        name: says for name, says in wanted.items() if says and not all(map(SpecifierSet(says).contains, pythons))
    }
    assert refused == {} and len(wanted) > 100
