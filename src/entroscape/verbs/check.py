"""Look at all results of a scale, such as come from elsewhere: whether they are whole, and made as they would be now.

What is not is set aside, so that the workflow makes it again, and with it all that was made from it.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from entroscape.config.courses import CostSettings, CourseSettings, SearchSettings
from entroscape.config.load import load_courses, load_experiment, load_step_size
from entroscape.config.settings import settings_of
from entroscape.errors import ConfigError, UnusableFile
from entroscape.files import is_set_aside, read_attributes, read_bytes, set_aside
from entroscape.provenance import differences
from entroscape.verbs.code import code_of

logger = logging.getLogger(__name__)

VARIANT = r"(?P<experiment>[^/]+)/(?P<variant>[^/.]+)"
# The verbs that make files which say how they were made, by the places of these files.
MADE_BY = {
    r"data/(?P<experiment>[^/]+)\.nc": "prepare",
    rf"training/{VARIANT}\.search\.parquet": "search",
    rf"training/{VARIANT}(\.parquet|\.seeds\.nc)": "train",
    rf"replicas/{VARIANT}/\d+\.nc": "sample",
    rf"landscapes/{VARIANT}\.nc": "merge",
    rf"curves/{VARIANT}(\.low_loss)?\.parquet": "analyse",
    r"courses/search\.parquet": "search_wand",
    r"courses/step_cost\.parquet": "step_cost",
    r"courses/(?P<course>[^/]+)\.parquet": "course",
    r"step_size\.parquet": "step_size",
    r"milestones\.parquet": "milestones",
}
ENDS = {  # of files that nothing reads, when they are whole
    ".png": (b"IEND\xaeB`\x82",),
    ".pdf": (b"%%EOF\n", b"%%EOF"),
    ".html": (b"</html>\n", b"</html>"),
    ".ipynb": (b"}\n", b"}"),
    ".csv": (b"\n",),
    ".tsv": (b"\n",),
}
FOLDERS = ("logs", "checkpoints")  # of other files; a checkpoint is looked at by the run that goes on from it


class Now:
    """How files would be made with the configuration and the code of now."""

    def __init__(self, scale: str, config_dir: Path):
        self.experiment = cache(partial(load_experiment, scale=scale, config_dir=config_dir))
        self.courses = cache(partial(load_courses, scale, config_dir))
        self.step_size = partial(load_step_size, scale, config_dir)

    def attributes(self, verb: str, names: dict[str, str]) -> dict[str, Any]:
        """What a file of a verb says of its settings and its code; raises ConfigError for unknown names."""
        settings = self._settings(verb, **names)
        wanted = {"code_digest": code_of(verb, settings)}
        if verb == "merge":  # a landscape has the settings of its replicas
            settings = settings.sample
            wanted["sampler_code_digest"] = code_of("sample", settings)
        return wanted | {"settings": {} if settings is None else settings.model_dump(mode="json")}

    def _settings(self, verb: str, experiment: str = "", variant: str | None = None, course: str = "") -> Any:
        match verb:
            case "course":
                if course not in self.courses().courses:
                    raise ConfigError(f"{course!r} is no course")
                return CourseSettings.of(self.courses(), course)
            case "search_wand":
                return SearchSettings.of(self.courses())
            case "step_cost":
                return CostSettings.of(self.courses())
            case "step_size":
                return self.step_size()
            case "milestones":
                return None
        return settings_of(verb, self.experiment(experiment), experiment, variant)


def run(scale: str, *, results: Path, config_dir: Path) -> list[Path]:
    """Look at every file below `results`; those that cannot be used are named and renamed. Returns what they were."""
    now, unusable, looked_at = Now(scale, config_dir), [], 0
    for path in _files(results):
        looked_at += 1
        try:
            _check(path, path.relative_to(results).as_posix(), now)
        except UnusableFile as problem:
            unusable.append(path)
            logger.warning("%s %s: it is kept as %s", path, problem.reason, set_aside(path))
        except ConfigError as problem:
            logger.warning("%s is none of this configuration (%s): it is left alone", path, problem)
    again = "; run again to have them made anew" if unusable else ""
    logger.info("%d files looked at, %d set aside%s", looked_at, len(unusable), again)
    return unusable


def _files(results: Path) -> Iterator[Path]:
    """Files that are results: neither hidden nor set aside."""
    for path in sorted(results.rglob("*")):
        parts = path.relative_to(results).parts
        if path.is_file() and parts[0] not in FOLDERS and not is_set_aside(path) and path.name[0] != ".":
            yield path


def _check(path: Path, place: str, now: Now) -> None:
    """Raise UnusableFile if the file is damaged, or would be made otherwise now."""
    if path.suffix not in (".nc", ".parquet"):
        if not read_bytes(path).endswith(ENDS.get(path.suffix, (b"",))):
            raise UnusableFile(path, "is not whole")
        return
    attributes = read_attributes(path)
    for pattern, verb in MADE_BY.items():
        if names := re.fullmatch(pattern, place):
            _compare(path, attributes, now.attributes(verb, names.groupdict()))
            break


def _compare(path: Path, attributes: Mapping[Any, Any], wanted: dict[str, Any]) -> None:
    try:
        stored = json.loads(attributes["settings"])
    except (KeyError, ValueError):
        raise UnusableFile(path, "does not say how it was made") from None
    if wrong := differences(stored, wanted.pop("settings")):
        raise UnusableFile(path, f"was made with other settings ({'; '.join(wrong[:3])})")
    if wrong := differences({name: attributes.get(name) for name in wanted}, wanted):
        raise UnusableFile(path, f"was made by another version of the code ({'; '.join(wrong)})")
