"""YAML as this project reads it: plain data, no key twice, no surprising types.

PyYAML follows YAML 1.1, where `1e-3` is a text, `010` is 8, `on` is true and `1:30` is 90. Here numbers, true, false
and null are what they look like (the core schema of YAML 1.2, and digits may be grouped as in 100_000).
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from entroscape.config.explain import nearest
from entroscape.errors import ConfigError

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one written in C is ten times faster

_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)\Z")
_EXPONENT = r"[eE][-+]?[0-9]+"
_FLOAT = re.compile(
    rf"[-+]?(([0-9][0-9_]*)?\.[0-9]+|[0-9][0-9_]*\.)({_EXPONENT})?\Z"
    rf"|[-+]?[0-9][0-9_]*{_EXPONENT}\Z"
    r"|[-+]?\.inf\Z|\.nan\Z"
)


class _Loader(_Base):
    """Safe loader with the core schema that refuses a key given twice."""

    yaml_implicit_resolvers: dict[str, list] = {}  # noqa: RUF012 (PyYAML's own way of overriding)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """The mapping; raises ConstructorError for a key that is no text or comes twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(None, None, "keys must be plain texts", key.start_mark)
            if key.value in seen:
                problem = f"the key {key.value} appears twice in one group, keep one of them"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        mapping: dict = super().construct_mapping(node, deep=deep)
        return mapping


def _number(kind: type) -> Any:
    return lambda loader, node: kind(node.value.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))


for _tag, _pattern, _first in (
    ("null", re.compile(r"(null|~|)\Z"), ["n", "~", ""]),
    ("bool", re.compile(r"(true|false)\Z"), ["t", "f"]),
    ("int", _INT, list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _number(int))
_Loader.add_constructor("tag:yaml.org,2002:float", _number(float))


def read_document(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; raises ConfigError with file and line when there is none."""
    try:
        document = json.loads(_parsed(_text(path)))
    except yaml.YAMLError as error:
        raise ConfigError(_syntax_sentence(path, error)) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path}: a value refers to itself or has a tag; use keys, lists, texts, numbers, true, false and null only"
        ) from error
    if not isinstance(document, dict):
        found = "the file is empty" if document is None else f"the file holds {json.dumps(document)[:40]}"
        raise ConfigError(f"{path}: must be a group of `key: value` lines, but {found}")
    return document


@lru_cache(maxsize=64)  # keyed by the text itself: the workflow reads each file for every job
def _parsed(text: str) -> str:
    """YAML as JSON."""
    return json.dumps(yaml.load(text, Loader=_Loader))


def names_in(folder: Path) -> list[str]:
    """Names of the YAML files in a folder, without suffix, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        names = names_in(path.parent)
        there = f"{path.parent} has {', '.join(names)}" if names else f"{path.parent} has no configuration files"
        raise ConfigError(f"{path} does not exist; {there}{nearest(path.stem, names)}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); make it a readable file") from error


def _syntax_sentence(path: Path, error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"{path}: not valid YAML, {' '.join(str(error).split())}"
    begun = f" {error.context} that begins on line {error.context_mark.line + 1}" if error.context_mark else ""
    return f"{path}, line {error.problem_mark.line + 1}: not valid configuration, {error.problem}{begun}"
