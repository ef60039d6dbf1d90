"""The API's page for people: every route of the OpenAPI document, in HTML without scripts.

Nothing is loaded from elsewhere, and the one style sheet is named to the browser by its hash.
"""

import base64
import hashlib
import json
from collections import defaultdict
from html import escape
from typing import Any

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h2{margin-top:2.5rem;text-transform:capitalize}
details{border:1px solid #ccc;border-radius:4px;margin:.5rem 0;padding:.5rem .8rem}
summary{cursor:pointer}summary b{display:inline-block;min-width:4.5rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
td,th{border-top:1px solid #ddd;padding:.25rem .5rem;text-align:left;vertical-align:top}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f6f6f6;padding:.6rem;overflow:auto}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}pre{background:#242424}
a{color:#8bf}details,td,th{border-color:#444}}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
"""Of the answer that holds the page."""


def html(openapi: dict[str, Any], prefix: str) -> str:
    """The page.

    Args:
        openapi: The document, 3.1.
        prefix: Of the API's addresses, where a proxy adds one.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            groups[operation["tags"][0]].append(_operation(method, path, operation))
    routes = "".join(f"<h2>{escape(tag)}</h2>{''.join(told)}" for tag, told in groups.items())
    schemas = "".join(
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"<pre>{escape(json.dumps(schema, indent=1, ensure_ascii=False))}</pre></details>"
        for name, schema in openapi["components"]["schemas"].items()
    )
    title = escape(openapi["info"]["title"])
    address = escape(prefix, quote=True)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}: API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{title} {escape(openapi['info']['version'])}</h1>"
        f"<p>{escape(openapi['info']['summary'])} Send a key with every request: "
        "<code>Authorization: Bearer KEY</code>, or by Basic authentication as the password. "
        f'For programs: <a href="{address}/openapi.json">OpenAPI 3.1</a>, '
        f'<a href="{address}/api">OpenAPI 3.0</a>.</p>'
        f"{routes}<h2>Bodies and answers</h2>{schemas}</html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    told = escape(operation.get("description", ""))
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> "
        f"{escape(operation.get('summary', ''))}</summary><p>{told}</p>"
        f"{_parameters(operation)}{_bodies(operation)}</details>"
    )


def _parameters(operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code><td>{escape(each['in'])}"
        f"<td>{escape(each.get('description', ''))}{' (required)' if each.get('required') else ''}"
        for each in operation.get("parameters", ())
    )
    return f"<table><tr><th>parameter<th>in<th>meaning{rows}</table>" if rows else ""


def _bodies(operation: dict[str, Any]) -> str:
    told = [
        f"<p>Body: <code>{escape(kind)}</code> {_shape(body.get('schema', {}))}</p>"
        for kind, body in operation.get("requestBody", {}).get("content", {}).items()
    ]
    for status, answer in operation["responses"].items():
        shapes = " ".join(
            f"<code>{escape(kind)}</code> {_shape(body.get('schema', {}))}"
            for kind, body in answer.get("content", {}).items()
        )
        told.append(f"<p>{escape(status)}: {escape(answer['description'])} {shapes}</p>")
    return "".join(told)


def _shape(schema: dict[str, Any]) -> str:
    name = escape(schema.get("$ref", "").rpartition("/")[2], quote=True)
    return f'<a href="#{name}">{name}</a>' if name else ""
