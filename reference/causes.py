"""The page of causes: what each means, how it is told and what helps, with the advice that findings give."""

from __future__ import annotations

from reference import markdown
from reference.meanings import ROOMS
from soak.judge.advice import ADVICE


def page() -> str:
    """docs/reference/causes.md."""
    rooms = [
        f"## {room}\n\n"
        + "\n\n".join(
            f"### {cause}\n\n**Means:** {m.means}\n\n**Told by:** {m.told}\n\n**Fails the run:** {m.fails}\n\n"
            f"**Next:** {ADVICE[cause]}\n\n**Until it is mended:** {m.meanwhile}"
            for cause, m in causes.items()
        )
        for room, causes in ROOMS.items()
    ]
    rows = [
        (f"[{room}](#{markdown.slug(room)})", ", ".join(f"[`{c}`](#{c})" for c in some)) for room, some in ROOMS.items()
    ]
    return markdown.page(
        "Causes",
        "A finding names its cause, with the evidence, how sure the cause is, and the next step. What shows in several "
        "series is one finding: what only follows from another is its evidence. How growth of memory is told apart: "
        "[Memory, stack and hot paths](../memory.md). How often the named cause is the true one: "
        "[Accuracy](../accuracy.md#causes).",
        markdown.table(("of", "causes"), rows),
        *rooms,
    )
