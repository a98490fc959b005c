"""The page of the API of `soak serve`, from the OpenAPI document that it serves."""

from __future__ import annotations

from typing import Any

from reference import markdown
from reference.openapi import document
from reference.schema import keys, type_of


def page() -> str:
    """docs/reference/api.md."""
    whole = document()
    models = whole["components"]["schemas"]
    calls = [
        _call(method.upper(), path, told)
        for path, methods in whole["paths"].items()
        for method, told in methods.items()
    ]
    sections = [f"### {name}\n\n{_body(model)}" for name, model in models.items()]
    return markdown.page(
        "API",
        "What `soak serve` answers. `/openapi.json` of a daemon is the same for programs. Tokens go into "
        "`Authorization: Bearer ...`; what is refused is `application/problem+json` (RFC 9457). How it is used: "
        "[Many soaks](../daemon.md).",
        "## Calls",
        *calls,
        "## Documents",
        *sections,
    )


def _call(method: str, path: str, told: dict[str, Any]) -> str:
    parts = [f"### {method} {path}", markdown.plain(told.get("description") or told.get("summary", ""))]
    if given := told.get("parameters"):
        rows = (
            (markdown.code(p["name"]), p["in"], _type(p["schema"]), markdown.sentence(p.get("description", "")))
            for p in given
        )
        parts.append(markdown.table(("parameter", "in", "type", "meaning"), rows))
    if "requestBody" in told:
        kinds = told["requestBody"]["content"]
        parts.append("Body: " + "; ".join(f"{markdown.code(k)} {_type(v.get('schema', {}))}" for k, v in kinds.items()))
    answers = {status: answer for status, answer in told["responses"].items() if not _refused(answer)}
    bodies = ((status, _contents(answer)) for status, answer in sorted(answers.items()))
    parts.append(markdown.table(("status", "body"), bodies))
    if refused := sorted(set(told["responses"]) - set(answers) - {"default"}):
        parts.append(f"Refused with {', '.join(refused)}.")
    return "\n\n".join(part for part in parts if part)


def _refused(answer: dict[str, Any]) -> bool:
    """Whether it is a problem document, in whichever way it is said."""
    content = answer.get("content", {})
    problem = {"$ref": "#/components/schemas/Problem"}
    return "application/problem+json" in content or any(kind.get("schema") == problem for kind in content.values())


def _contents(answer: dict[str, Any]) -> str:
    found = []
    for kind, content in answer.get("content", {}).items():
        schema = content.get("schema", {})
        found.append(_type(schema) if kind == "application/json" and schema else markdown.code(kind))
    return ", ".join(found)


def _type(schema: dict[str, Any]) -> str:
    return type_of(schema) if schema else "anything"


def _body(model: dict[str, Any]) -> str:
    about = markdown.sentence(model.get("description", ""))
    if "enum" in model:
        return f"{about}\n\nOne of {', '.join(map(markdown.code, model['enum']))}.".strip()
    return f"{about}\n\n{keys(model, column='field')}".strip()
