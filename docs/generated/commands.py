"""The command line's reference, from the commands themselves."""

from importlib.metadata import entry_points
from typing import Any

import typer
from marks import code, sentence, table, without_home

_TYPES = {
    "text": "text",
    "integer": "whole number",
    "float": "number",
    "path": "path",
    "file": "path",
}


def command_line() -> str:
    """Every command of `mfnet`, by name: what it does, its usage, arguments and options."""
    groups = [typer.main.get_command(entry.load()) for entry in _groups()]
    commands = {name: command for group in groups for name, command in group.commands.items()}
    return "\n".join(_described(f"mfnet {name}", commands[name], 2) for name in sorted(commands))


def _groups() -> list[Any]:
    return sorted(entry_points(group="mfnet.commands"), key=lambda entry: entry.name)


def _described(name: str, command: Any, level: int) -> str:
    """A command, or a group with the commands in it."""
    inner = getattr(command, "commands", {})
    parts = [f"{'#' * level} {name}\n", f"{_help(command.help)}\n"]
    if not inner:
        shown = [p for p in command.params if not p.hidden and p.name != "help"]
        arguments = [p for p in shown if p.param_type_name == "argument"]
        options = [p for p in shown if p.param_type_name == "option"]
        parts += [f"```\n{_usage(name, arguments, options)}\n```\n"]
        if arguments:
            rows = [(_argument(p), sentence(p.help)) for p in arguments]
            parts.append(table(("argument", "meaning"), rows))
        if options:
            rows = [(_names(p), _default(p), sentence(_told(p))) for p in options]
            parts.append(table(("option", "default", "meaning"), rows))
    return "\n".join([*parts, *(_described(f"{name} {n}", inner[n], level + 1) for n in inner)])


def _help(text: str | None) -> str:
    """Paragraphs; typer's mark for a break is left out."""
    return without_home((text or "").replace("\b", "").strip())


def _usage(name: str, arguments: list[Any], options: list[Any]) -> str:
    words = [p.name.upper() if p.required else f"[{p.name.upper()}]" for p in arguments]
    words += [f"{p.opts[0]} {p.name.upper()}" for p in options if p.required]
    rest = [] if all(p.required for p in options) else ["[OPTIONS]"]
    return " ".join([name, *words, *rest])


def _argument(parameter: Any) -> str:
    return f"`{parameter.name.upper()}`" + ("" if parameter.required else " (optional)")


def _names(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join(f"`{name}`" for name in names)


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return code(parameter.show_default)
    if isinstance(parameter.default, bool):
        names = parameter.opts if parameter.default else parameter.secondary_opts
        return code(names[0]) if names and parameter.secondary_opts else "off"
    empty = parameter.default is None or parameter.default in ("", (), [])
    return "" if empty else code(parameter.default)


def _told(parameter: Any) -> str:
    choices = getattr(parameter.bare_type, "__members__", None)
    told = without_home(parameter.help or "")
    if choices:
        values = ", ".join(code(choice) for choice in choices.values())
        told = f"{told} One of {values}."
    if parameter.envvar:
        told = f"{told} Also read from `{parameter.envvar}`."
    return told
