"""JSON schemas of pydantic (2020-12) in the dialect of OpenAPI 3.0, which OGC's 1.0 schemas are of.

That dialect has no type null, no `const`, no tuples, and exclusive bounds are booleans. Generated
clients refuse what is not of it.
"""

from typing import Any

_DROPPED = {"contentMediaType", "examples", "$defs"}
_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def document(openapi: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI 3.1 document of ours as one of 3.0.3."""
    told: dict[str, Any] = _walked(openapi, nullable=True, dropped=_DROPPED)
    return told | {"openapi": "3.0.3"}


def input_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an input: null is no value of it, as whatever is optional may be left out."""
    told: dict[str, Any] = _walked(schema, nullable=False, dropped=set())
    return told


def _walked(node: Any, *, nullable: bool, dropped: set[str]) -> Any:
    if isinstance(node, list):
        return [_walked(each, nullable=nullable, dropped=dropped) for each in node]
    if not isinstance(node, dict):
        return node
    found = {
        key: _named(value, nullable, dropped)
        if key == "properties"
        else _walked(value, nullable=nullable, dropped=dropped)
        for key, value in node.items()
        if key not in dropped and not (key == "default" and value is None)
    }
    return _without_null(_spelled(found), nullable)


def _named(properties: dict[str, Any], nullable: bool, dropped: set[str]) -> dict[str, Any]:
    """Names of properties are no keywords, whatever they are called."""
    return {
        name: _walked(schema, nullable=nullable, dropped=dropped)
        for name, schema in properties.items()
    }


def _spelled(schema: dict[str, Any]) -> dict[str, Any]:
    """Keywords that 3.0 has under another name, or in another form."""
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    for exclusive, bound in _BOUNDS.items():
        if type(schema.get(exclusive)) in (int, float):
            schema[bound] = schema[exclusive]
            schema[exclusive] = True
    if "prefixItems" in schema:  # of ours, all alike
        schema["items"] = schema.pop("prefixItems")[0]
    return schema


def _without_null(schema: dict[str, Any], nullable: bool) -> dict[str, Any]:
    kinds = schema.get("anyOf", [])
    left = [kind for kind in kinds if kind.get("type") != "null"]
    if len(left) == len(kinds):
        return schema
    if len(left) > 1:
        schema["anyOf"] = left
    else:
        del schema["anyOf"]
        schema = {"allOf": left, **schema} if "$ref" in left[0] else {**left[0], **schema}
    return schema | {"nullable": True} if nullable else schema
