"""Texts of the user's as a web page shows them: as text, whatever they hold."""

import html
from collections.abc import Iterable, Sequence

from adapters.shown import shown


def text(given: object) -> str:
    """Escaped, cut where it is long, and without what acts on its surroundings.

    Its direction is its own: characters that turn text around turn none beside it.

    >>> text("<b>")
    '<bdi>&lt;b&gt;</bdi>'
    """
    return f"<bdi>{html.escape(shown(str(given)))}</bdi>"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already, the first of each row its name."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )


def section(title: str, *parts: str) -> str:
    """A section under a heading, both HTML already."""
    return f"<section><h2>{title}</h2>{''.join(parts)}</section>"


def note(said: str) -> str:
    """A paragraph of explanation, HTML already."""
    return f'<p class="soft">{said}</p>'
