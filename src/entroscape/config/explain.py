"""Mistakes in a configuration as sentences: key, value, what is allowed.

What is allowed is read from the JSON schema of the model, so that every mistake of one kind reads alike.
"""

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

Key = tuple[str | int, ...]
Schema = dict[str, Any]

_MISSING = object()
_LONGEST_VALUE = 60
_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "null": "null",
}
_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


@dataclass(frozen=True)
class Mistake:
    """A mistake at `key`; `text` follows the dotted key in a sentence."""

    key: Key
    text: str

    def sentence(self, prefix: Key = ()) -> str:
        """Key and text; `prefix` is what stands above the key in the file."""
        key = dotted((*prefix, *self.key))
        return f"{key} {self.text}" if key else self.text


def mistakes(model: type[BaseModel], errors: Iterable[ErrorDetails], data: Any) -> list[Mistake]:
    """One Mistake for each error that validating `data` as `model` gave."""
    schema = model.model_json_schema()
    return [_mistake(schema, error, data) for error in errors]


def unknown(key: Key, known: Iterable[str]) -> Mistake:
    """A key that nothing knows, beside the keys that are `known` there."""
    known = list(known)
    allowed = f"known keys are {', '.join(known)}" if known else "no keys are known there"
    return Mistake(key, f"is not a known key; {allowed}{nearest(str(key[-1]), known)}")


def not_allowed(key: Key, value: Any, allowed: str) -> Mistake:
    """A value that is none of the `allowed`, a phrase such as "at least 1"."""
    return Mistake(key, f"= {shown(value)} is not allowed; it must be {allowed}")


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean x?' for a misspelt name, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def dotted(key: Sequence[str | int]) -> str:
    """("a", "b", 2) as a.b[2]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")


def shown(value: Any) -> str:
    """A value as it would stand in YAML, shortened."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def look_up(data: Any, key: Sequence[str | int], default: Any = None) -> Any:
    """The value at `key`, or `default`."""
    for part in key:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return default
    return data


def _mistake(schema: Schema, error: ErrorDetails, data: Any) -> Mistake:
    if error["type"] == "value_error":
        section = _within(data, (*error["loc"], ""))[:-1]  # the location of a section may end with a tag
        return _from_validator(section, str(error["ctx"]["error"]), data)
    key = _within(data, error["loc"])
    if error["type"] == "extra_forbidden":
        return unknown(key, _at(schema, error["loc"][:-1]).get("properties", {}))
    node = _at(schema, error["loc"])
    if error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        return _from_union((*key, error["ctx"]["discriminator"].strip("'")), node, data)
    about = f" ({node['description']})" if "description" in node and node.get("type") != "object" else ""
    if error["type"] == "missing" and isinstance(key[-1], str):
        return Mistake(key, f"is missing; it must be {_allowed(schema, node)}{about}")
    if error["type"] == "missing":  # an item of a pair
        key, node = key[:-1], _at(schema, error["loc"][:-1])
    value = look_up(data, key)
    hint = ", written without a point or an exponent" if error["type"] == "int_type" and _is_whole(value) else ""
    if not key:
        return Mistake(key, f"must be {_allowed(schema, node)}, but is {shown(value)}")
    return not_allowed(key, value, f"{_allowed(schema, node)}{hint}{about}")


def _from_union(key: Key, node: Schema, data: Any) -> Mistake:
    """The key that tells the members of a union apart is missing, or names none of them."""
    tags = _choice([shown(tag) for tag in node["discriminator"]["mapping"]])
    value = look_up(data, key, _MISSING)
    return Mistake(key, f"is missing; it must be {tags}") if value is _MISSING else not_allowed(key, value, tags)


def _from_validator(section: Key, message: str, data: Any) -> Mistake:
    """A validator's message begins with the key it complains about, seen from its section."""
    name, _, rest = message.partition(" ")
    key = (*section, *name.split("."))
    value = look_up(data, key, _MISSING)
    if value is _MISSING:  # the key has its default, or the message is not of the usual form
        return Mistake(section, f"is not allowed; {message}")
    return Mistake(key, f"= {shown(value)} is not allowed; it {rest}")


def _within(data: Any, location: Sequence[str | int]) -> Key:
    """The location less the tags that pydantic adds for the members of a union."""
    key: list[str | int] = []
    for part in location[:-1]:
        if look_up(data, (*key, part), _MISSING) is not _MISSING:
            key.append(part)
    return (*key, *location[-1:])


def _at(schema: Schema, location: Sequence[str | int]) -> Schema:
    """The node of the schema that describes `location`; empty where the schema says nothing."""
    node = _resolved(schema, schema)
    for part in location:
        node = _given(schema, node)
        if isinstance(part, int):
            pair = node.get("prefixItems", [])
            node = pair[part] if part < len(pair) else node.get("items", {})
        elif part in node.get("properties", {}):
            node = node["properties"][part]
        elif part in node.get("discriminator", {}).get("mapping", {}):
            node = {"$ref": node["discriminator"]["mapping"][part]}
        else:
            extra = node.get("additionalProperties", {})
            node = extra if isinstance(extra, dict) else {}
        node = _resolved(schema, node)
    return node


def _given(schema: Schema, node: Schema) -> Schema:
    """What a node allows besides null, where that is one thing."""
    members = [member for member in node.get("anyOf", []) if member.get("type") != "null"]
    return _resolved(schema, members[0]) if len(members) == 1 else node


def _resolved(schema: Schema, node: Schema) -> Schema:
    """The node with its reference followed; what stands beside the reference wins."""
    if "$ref" not in node:
        return node
    target = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return {**target, **{key: value for key, value in node.items() if key != "$ref"}}


def _allowed(schema: Schema, node: Schema) -> str:
    """What a node of the schema allows, as a phrase that follows 'must be'."""
    node = _resolved(schema, node)
    if "const" in node or "enum" in node:
        return _choice([shown(value) for value in node.get("enum", [node.get("const")])])
    members = node.get("anyOf", node.get("oneOf"))
    if members:
        return _choice([_allowed(schema, member) for member in members])
    if node.get("type") == "array":
        return _allowed_list(schema, node)
    if node.get("type") == "object":
        keys = ", ".join(node.get("properties", {}))
        return f"a group of keys ({keys})" if keys else "a group of keys"
    bounds = [f"{words} {node[bound]:g}" for bound, words in _BOUNDS.items() if bound in node]
    return " ".join([_TYPES.get(node.get("type", ""), "something else"), " and ".join(bounds)]).strip()


def _allowed_list(schema: Schema, node: Schema) -> str:
    if "prefixItems" in node:
        return f"[{', '.join(_allowed(schema, item) for item in node['prefixItems'])}]"
    item = _allowed(schema, node.get("items", {}))
    least = node.get("minItems", 0)
    return f"a list with {f'at least {least} of' if least else 'items'}: {item}"


def _choice(phrases: list[str]) -> str:
    return " or ".join([", ".join(phrases[:-1]), phrases[-1]]) if len(phrases) > 1 else phrases[0]


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()
