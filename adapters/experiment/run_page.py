"""A run as one web page that needs nothing beside it: no script, no address, no font.

While the run goes on, the page loads itself again every `EVERY` seconds.
"""

import json
import string
from collections.abc import Iterator, Mapping
from typing import Any

from adapters.experiment import run_confusion, run_curves, run_tables
from adapters.experiment.page_text import table, text
from adapters.experiment.run_record import RunRecord

EVERY = 10  # seconds

_COLOURS = {
    "ink": "light-dark(#1c2430, #e8ecf2)",
    "soft": "light-dark(#5a6675, #9aa6b5)",
    "line": "light-dark(#d9dfe7, #333d4a)",
    "card": "light-dark(#ffffff, #1b222c)",
    "page": "light-dark(#f4f6f9, #12171e)",
    "accent": "light-dark(#1f5fbf, #7fb0ff)",
}
_STYLE = string.Template("""
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 76rem; padding: 1.5rem 1.25rem;
  background: $page; color: $ink; font: 1rem/1.5 system-ui, sans-serif;
}
h1, h2, h3, p, figure { margin: 0; }
h1 { font-size: 1.6rem; }
h2 { font-size: 1.1rem; }
h3 { font-size: 1rem; }
section, details {
  margin-top: 1rem; padding: 1rem 1.25rem; min-width: 0;
  border: 1px solid $line; border-radius: 0.75rem; background: $card;
}
progress { width: 100%; accent-color: $accent; }
.soft, figcaption { color: $soft; font-size: 0.85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { padding: 0.2rem 0.6rem; text-align: right; border-bottom: 1px solid $line; }
th { font-weight: 600; overflow-wrap: break-word; }
th:first-child { text-align: left; }
thead th { color: $soft; }
.task { margin-top: 0.9rem; }
.charts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 0.75rem;
}
svg { width: 100%; height: auto; max-width: 26rem; }
path { fill: none; stroke-width: 1; }
.frame { stroke: $soft; }
.grid { stroke: $line; }
.faint { stroke: $accent; opacity: 0.35; }
.strong { stroke: $accent; stroke-width: 1.8; }
circle.strong { fill: $accent; }
.level { stroke: $soft; stroke-dasharray: 3 3; }
.tick { fill: $soft; font-size: 10px; text-anchor: end; }
.tick.start { text-anchor: start; }
.bar { display: block; width: 9rem; border-radius: 0.3rem; background: $line; }
.bar i { display: block; height: 0.6rem; border-radius: 0.3rem; background: $accent; }
.share { display: block; position: relative; isolation: isolate; }
.share i { position: absolute; inset: -0.2rem -0.6rem; z-index: -1; background: $accent; }
""").substitute(_COLOURS)


def page(record: RunRecord, written: str) -> str:
    """The page as text: curves, scores, sizes and confusions of a run.

    Args:
      record: of the run.
      written: when its files were read; said while the run goes on.
    """
    again = f'<meta http-equiv="refresh" content="{EVERY}">' if record.going_on else ""
    state, as_of = how_far(record), f", as of {written}" if record.going_on else ""
    parts = (
        run_tables.scores(record),
        run_curves.charts(record),
        run_tables.sizes(record),
        run_confusion.worst(record),
        _settings(record),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        f'{again}<title>{state}</title><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><header><h1>{_heading(record)}</h1>"
        f'<p id="state">{state}{as_of}</p>'
        f'<progress value="{record.done}" max="{record.steps}"></progress></header>'
        f"<main>{''.join(parts)}</main></body></html>\n"
    )


def how_far(record: RunRecord) -> str:
    """The run's state in words.

    >>> how_far(RunRecord({}, ["a"], {}, 1500, [], [], {}, True))
    'going on: step 0 of 1,500 (0 %)'
    """
    share = 100 * record.done // max(record.steps, 1)
    return f"{record.state}: step {record.done:,} of {record.steps:,} ({share} %)"


def _heading(record: RunRecord) -> str:
    count = len(record.tasks)
    made = (text(record.configuration.get(name, "")) for name in ("patch", "backbone"))
    return f"{count} task{'' if count == 1 else 's'}: " + " on ".join(made)


def _settings(record: RunRecord) -> str:
    rows = ((text(name), text(value)) for name, value in _flat(record.configuration))
    return f"<details><summary>Settings</summary>{table(('setting', ''), rows)}</details>"


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if name == "recipe":
            yield from _flat(value)
        elif name != "data":
            yield name, value if isinstance(value, str) else json.dumps(value)
