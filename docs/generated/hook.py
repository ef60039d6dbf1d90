"""MkDocs hook: fills `<!-- generated: NAME -->` in a page with what the code says.

The text of a reference page stands in its Markdown file; its tables come from here when the site
is built, so that they cannot fall behind the code. A name that nobody generates ends the build.
"""

import re

from codes import error_codes
from commands import command_line
from fields import manifest_keys, recipe_keys, service_settings
from licences import licences
from mkdocs.structure.pages import Page
from routes import job_inputs, rest_routes

GENERATORS = {
    "commands": command_line,
    "settings": service_settings,
    "codes": error_codes,
    "routes": rest_routes,
    "inputs": job_inputs,
    "recipe": recipe_keys,
    "manifest": manifest_keys,
    "licences": licences,
}

_MARKER = re.compile(r"^<!-- generated: ([a-z]+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """The page with every marker replaced; called by MkDocs for each page."""
    return _MARKER.sub(lambda found: GENERATORS[found[1]](), markdown)
