"""Recipes as text: TOML that is read, changed key by key, and written again."""

import json
import tomllib
from collections.abc import Iterable
from typing import Any

from mfnet.model.errors import BadRecipe


def read_toml(text: str, changes: Iterable[str] = ()) -> dict[str, Any]:
    """The values of a recipe.

    Args:
        text: TOML.
        changes: `key=value` each, dotted keys, TOML values; what is no TOML is a string, so that
            names need no quotes.

    Raises:
        BadRecipe: The text is no TOML, or a change no `key=value`.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRecipe(f"the recipe is no TOML: {error}") from error
    for change in changes:
        _set(values, change)
    return values


def write_toml(values: dict[str, Any]) -> str:
    """TOML of nested tables whose values are strings, numbers, booleans and arrays of these.

    Values that are None are left out: TOML has none.

    Raises:
        BadRecipe: A value is a date or a time, of which no recipe has any.
    """
    return "\n".join(_lines(values, ""))


def _set(values: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    *tables, last = (part.strip() for part in key.split("."))
    if not equals or not all([*tables, last]):
        raise BadRecipe(f"{change!r} changes no recipe; expected key=value, like optimizer.steps=9")
    table = values
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise BadRecipe(f"{change!r}: {name!r} is no table of the recipe", key=key)
    table[last] = _value(text.strip())


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _lines(values: dict[str, Any], table: str) -> Iterable[str]:
    plain = {k: v for k, v in values.items() if not isinstance(v, dict) and v is not None}
    for key, value in plain.items():
        yield f"{key} = {_text(table + key, value)}"
    for key, value in values.items():
        if isinstance(value, dict):
            yield f"\n[{table}{key}]"
            yield from _lines(value, f"{table}{key}.")


def _text(key: str, value: Any) -> str:
    """JSON, which is TOML's own form of the types that a recipe has."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError as error:
        raise BadRecipe(
            f"recipe key {key!r} is {value!s}; expected a string, a number, a boolean, or an array "
            "of these",
            key=key,
        ) from error
