"""Settings, recipe keys and manifest keys, from the pydantic models that read them."""

import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from marks import code, sentence, several, table
from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.service.settings import Settings
from mfnet.training.config.data import KINDS
from mfnet.training.config.optimizer_recipe import OptimizerRecipe
from mfnet.training.config.recipe import EvaluationRecipe, NetworkRecipe, Recipe
from mfnet.training.datasets.sources.folder_manifest import (
    ClassEntry,
    LabelRules,
    Manifest,
    SplitRules,
    TileEntry,
)

_BASIC = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}

# Defaults that depend on the machine, in words.
_IN_WORDS = {"engine_command": "this program's own"}


def service_settings() -> str:
    """One row a setting: variables, type, default, meaning."""
    rows = [
        (_variables(name, field), _type(field.annotation), _default(name, field), _told(field))
        for name, field in Settings.model_fields.items()
    ]
    return table(("variable", "type", "default", "meaning"), rows)


def recipe_keys() -> str:
    """A table of keys for each table of a recipe."""
    tables = {"network", "data", "optimizer", "evaluation"}
    parts = [
        _section("The recipe itself", Recipe, without=tables),
        _section("`[network]`", NetworkRecipe),
        _section("`[optimizer]`", OptimizerRecipe),
        _section("`[evaluation]`", EvaluationRecipe),
    ]
    parts += [_section(f'`[data]` with `kind = "{kind}"`', KINDS[kind]) for kind in KINDS]
    return "\n".join(parts)


def manifest_keys() -> str:
    """A table of keys for each table of a manifest."""
    parts = [
        _section("The manifest itself", Manifest, without={"tiles", "labels", "split"}),
        _section("`[[tiles]]`", TileEntry),
        _section("`[labels]`", LabelRules),
        _section("`[split]`", SplitRules),
        _section("`[[classes]]`", ClassEntry),
        _section("`reading`", ReadingOptions),
    ]
    return "\n".join(parts)


def _section(title: str, part: type[BaseModel], without: set[str] = frozenset()) -> str:
    rows = [
        (f"`{name}`", _type(field.annotation), _default(name, field), _told(field))
        for name, field in sorted(part.model_fields.items(), key=lambda each: each[0] != "kind")
        if name not in without
    ]
    head = ("key", "type", "default", "meaning")
    told = " ".join((part.__doc__ or "").split("\n\n")[0].split())
    return f"## {title}\n\n{told}\n\n{table(head, rows)}"


def _variables(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [f"MFNET_{name.upper()}"]
    return ", ".join(f"`{each}`" for each in names)


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(a) for a in arguments if a is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        inner = [a for a in arguments if a is not ...]
        count = "" if ... in arguments else f"{len(inner)} "
        return f"list of {count}{several(_type(inner[0]))}"
    if origin is dict:
        return f"table of {several(_type(arguments[1]))}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    return _BASIC.get(annotation, str(annotation))


def _default(name: str, field: FieldInfo) -> str:
    if name in _IN_WORDS:
        return _IN_WORDS[name]
    if field.default is PydanticUndefined:
        return "required" if field.default_factory is None else ""
    if field.default is None or isinstance(field.default, BaseModel) or field.default == ():
        return ""
    return code(field.default)


def _told(field: FieldInfo) -> str:
    limits = [_limit(each) for each in field.metadata]
    told = sentence(field.description)
    found = ", ".join(filter(None, limits))
    if not found:
        return told
    return f"{told}. {sentence(found)}." if told else f"{sentence(found)}."


def _limit(limit: Any) -> str:
    """A bound of pydantic's in words; what is no bound says nothing."""
    words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    for name, word in words.items():
        if (value := getattr(limit, name, None)) is not None:
            return f"{word} {value:,}"
    return ""
