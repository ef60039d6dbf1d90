"""The REST interface's routes, from the OpenAPI description that the service gives of itself."""

import tempfile
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from marks import code, sentence, several, table

from mfnet.service.app import create_app
from mfnet.service.settings import Settings

_NAMES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
}
_VAGUE = ("any", "text", "table")  # files, and answers that the table above does not describe


def rest_routes() -> str:
    """Every route by its tag: what it does, its parameters, its body, what it answers."""
    description = _openapi()
    tags: dict[str, list[str]] = defaultdict(list)
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            told = _operation(method.upper(), path, operation, description)
            tags[operation["tags"][0]].append(told)
    parts = [f"## {tag.capitalize()}\n\n{''.join(told)}" for tag, told in tags.items()]
    schemas = description["components"]["schemas"]
    parts.append("## Bodies and answers\n")
    parts += [_schema(name, schemas) for name in sorted(schemas) if _is_shown(schemas[name])]
    return "\n".join(parts)


def job_inputs() -> str:
    """The inputs of each process."""
    schemas = _openapi()["components"]["schemas"]
    titles = {"SegmentInputs": "segment", "RetrainInputs": "retrain", "EchoInputs": "echo"}
    return "\n".join(
        f"## Inputs of `{process}`\n\n{_properties(schemas[name], schemas)}"
        for name, process in titles.items()
    )


@cache
def _openapi() -> dict[str, Any]:
    """The description; the service writes nothing outside the folder for it."""
    with tempfile.TemporaryDirectory() as folder:
        return create_app(Settings(data_dir=Path(folder))).openapi()


def _operation(method: str, path: str, operation: dict[str, Any], all_of_it: Any) -> str:
    schemas = all_of_it["components"]["schemas"]
    told = operation.get("description", "").strip()
    parts = [f"### `{method} {path}`\n", f"{told}\n" if told else ""]
    rows = [
        (
            f"`{each['name']}`",
            each["in"],
            _type(each["schema"], schemas),
            "required" if each.get("required") else _default(each["schema"]),
            sentence(each.get("description") or each["schema"].get("description")),
        )
        for each in operation.get("parameters", [])
    ]
    if rows:
        parts.append(table(("parameter", "in", "type", "default", "meaning"), rows))
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        shape = _type(body.get("schema", {}), schemas)
        parts.append(f"Body: `{media}`" + (".\n" if shape in _VAGUE else f", {shape}.\n"))
    status = next(each for each in operation["responses"] if each.startswith("2"))
    answer = operation["responses"][status].get("content", {}).get("application/json", {})
    shape = _type(answer.get("schema", {}), schemas)
    parts.append(f"Answers {status}" + (".\n" if shape in _VAGUE else f": {shape}.\n"))
    return "\n".join(filter(None, parts)) + "\n"


def _schema(name: str, schemas: dict[str, Any]) -> str:
    told = schemas[name].get("description", "").split("\n\n")[0]
    anchor = f"{{ #schema-{name.lower()} }}"
    return f"### {name} {anchor}\n\n{told}\n\n{_properties(schemas[name], schemas)}"


def _is_shown(schema: dict[str, Any]) -> bool:
    """Objects of ours; the shape of a framework's own refusal is none of them."""
    return "properties" in schema and "ValidationError" not in schema["title"]


def _properties(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [
        (
            f"`{name}`",
            _type(each, schemas),
            "required" if name in required else _default(each),
            _meaning(name, each),
        )
        for name, each in sorted(
            schema.get("properties", {}).items(), key=lambda pair: pair[0] not in required
        )
    ]
    return table(("key", "type", "default", "meaning"), rows)


def _meaning(name: str, schema: dict[str, Any]) -> str:
    """The description, else a title that says more than the key from which pydantic makes one."""
    title = schema.get("title", "")
    made = title.lower().replace(" ", "") == name.lower().replace("_", "")
    return sentence(schema.get("description") or ("" if made else title))


def _default(schema: dict[str, Any]) -> str:
    return "" if schema.get("default") in (None, [], {}) else code(schema["default"])


def _type(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        inner = schemas[name]
        if "properties" not in inner:
            return _type(inner, schemas)
        return f"[`{name}`](routes.md#schema-{name.lower()})"
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    if "const" in schema:
        return code(schema["const"])
    if "anyOf" in schema:
        kinds = [_type(each, schemas) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if schema.get("type") == "array":
        inner = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"list of {several(_type(inner, schemas))}" if inner else "list"
    if schema.get("type") == "object":
        return "table"
    return _NAMES.get(schema.get("type", ""), "any")
