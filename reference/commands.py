"""The page of commands: every verb with its options, from click; and the exit codes."""

from __future__ import annotations

import click

from reference import markdown
from soak.cli import verbs

_EXITS = (
    ("0", "pass", "every criterion passed, and nothing was found that fails"),
    ("1", "fail", "a criterion failed, or something was found that fails; of `soak doctor`: there is a problem"),
    ("2", "bad usage", "an option, a scenario, a target or a run file is not as it must be; nothing was judged"),
    ("3", "inconclusive", "what was measured is not enough to say; the reasons say what would settle it"),
    ("4", "invalid", "the measurement cannot be trusted, whatever it says"),
    ("130", "interrupted", "Ctrl-C; what was measured was judged, and the run file is kept"),
)


def page() -> str:
    """docs/reference/cli.md."""
    shown = [(name, verb) for name, verb in verbs().items() if not verb.hidden]
    return markdown.page(
        "Commands",
        "Results go to standard output, progress and complaints to standard error. `soak COMMAND --help` says the same "
        "as this page.",
        markdown.table(("command", ""), ((f"[`soak {name}`](#soak-{name})", _first(verb)) for name, verb in shown)),
        "## Exit codes\n\n"
        + markdown.table(("code", "means", "when"), _EXITS)
        + "\n\n`soak compare` and `soak trend` use the same. Bad input never ends in a traceback.",
        *(_verb(f"soak {name}", verb) for name, verb in shown),
    )


def _verb(name: str, verb: click.Command, mark: str = "##") -> str:
    if isinstance(verb, click.Group):
        inner = [_verb(f"{name} {n}", v, mark + "#") for n, v in verb.commands.items()]
        return "\n\n".join([f"{mark} {name}\n\n{_told(verb)}", *inner])
    context = click.Context(verb, info_name=name)
    usage = " ".join([name, *verb.collect_usage_pieces(context)])
    options = [_row(o, context) for o in verb.params if isinstance(o, click.Option) and not o.hidden]
    parts = [f"{mark} {name}", f"```text\n{usage}\n```", _told(verb)]
    if options:
        parts.append(markdown.table(("option", "", "default"), options))
    if verb.epilog:
        parts.append("\n".join(["```sh", *_examples(verb.epilog), "```"]))
    return "\n\n".join(parts)


def _examples(epilog: str) -> list[str]:
    return [line.strip() for line in epilog.removeprefix("Example: ").split("   |   ")]


def _first(verb: click.Command) -> str:
    return markdown.sentence((verb.help or "").split("\n\n")[0])


def _told(verb: click.Command) -> str:
    return "\n\n".join(markdown.plain(markdown.sentence(part)) for part in (verb.help or "").split("\n\n"))


def _row(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    names = ", ".join(markdown.code(name) for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" {_value(option, context)}"
    told, _, default = (option.help or "").partition("[default: ")
    known = default.rstrip("] ") or (str(option.default) if option.show_default else "")
    if option.envvar is not None:
        known = f"${option.envvar}"
    elif option.required:
        return names + value, markdown.plain(told.strip()), "required"
    return names + value, markdown.plain(told.strip()), markdown.code(known) if known else ""


def _value(option: click.Option, context: click.Context) -> str:
    if isinstance(option.type, click.Choice):
        return " or ".join(markdown.code(one) for one in option.type.choices)
    if isinstance(option.type, click.IntRange) and option.metavar is None:
        low, high = option.type.min, option.type.max
        return f"{low} to {high}" if high is not None else f"{low} or more"
    return markdown.code(option.make_metavar(context))
