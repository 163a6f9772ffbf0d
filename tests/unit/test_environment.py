"""The two descriptions of the environment say the same."""

from pathlib import Path

import yaml

ENVS = Path(__file__).parents[2] / "envs"


def test_conda_environment_has_the_pins_of_the_lock():
    lock = (ENVS / "requirements.lock").read_text().splitlines()
    pins = [line.strip() for line in lock if line.strip() and not line.startswith("#")]
    environment = yaml.safe_load((ENVS / "entroscape.yaml").read_text())
    assert next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)) == pins
    assert "torch==2.13.0" in pins
