"""Recipes as text: TOML that is read, changed key by key, and written again."""

import tomllib
from collections.abc import Iterable
from datetime import date, time
from typing import Any

import tomli_w

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
    return tomli_w.dumps(_plain(values, ""))


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


def _plain(values: dict[str, Any], table: str) -> dict[str, Any]:
    """The values without None; refuses what TOML has and recipes have not."""
    plain = {}
    for key, value in values.items():
        if isinstance(value, dict):
            plain[key] = _plain(value, f"{table}{key}.")
        elif _holds_a_date(value):
            raise BadRecipe(
                f"recipe key {table + key!r} is {value!s}; expected a string, a number, a boolean, "
                "or an array of these",
                key=table + key,
            )
        elif value is not None:
            plain[key] = value
    return plain


def _holds_a_date(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_a_date, value))
    return isinstance(value, date | time)
