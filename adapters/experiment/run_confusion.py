"""What the worst task of a run takes for what, as HTML."""

from collections.abc import Sequence

from adapters.experiment.confusions import Confusions
from adapters.experiment.page_text import note, section, table, text
from adapters.experiment.run_record import RunRecord

CLASSES, PAIRS = 20, 15  # as many classes have a whole table; of more, so many pairs are listed


def worst(record: RunRecord) -> str:
    """A section on the task of the lowest accuracy; none where no image has one class."""
    known = {task: one for task, one in record.confused.items() if one.images}
    if not known:
        return ""
    task = min(known, key=lambda name: known[name].accuracy)
    one = known[task]
    labels = record.labels.get(task) or list(dict.fromkeys(own for own, _ in one.counts))
    said = note(
        f"{text(task)}: {100 * one.accuracy:.2f} % of {one.images:,} images of {text(one.split)} "
        "are answered rightly."
    )
    drawn = _whole(one, labels) if len(labels) <= CLASSES else _most(one)
    return section("Confusions of the worst task", said, drawn)


def _whole(one: Confusions, labels: Sequence[str]) -> str:
    """A row a class, a column an answer; the stronger, the larger the share of the row."""
    rows = []
    for own in labels:
        counts = [one.counts.get((own, answer), 0) for answer in labels]
        total = max(sum(counts), 1)
        cells = (_cell(count, count / total) if count else "" for count in counts)
        rows.append((text(own), *cells))
    return table(("class \\ answer", *map(text, labels)), rows)


def _cell(count: int, share: float) -> str:
    return f'<span class="share"><i style="opacity:{0.6 * share:.3f}"></i>{count:,}</span>'


def _most(one: Confusions) -> str:
    """The pairs that came most often."""
    wrong = [(pair, count) for pair, count in one.counts.items() if pair[0] != pair[1]]
    wrong.sort(key=lambda pair: -pair[1])
    rows = ((text(own), text(answer), f"{count:,}") for (own, answer), count in wrong[:PAIRS])
    return table(("class", "taken for", "images"), rows)
