"""README.md and docs/: links lead somewhere, and the README's figures are those of results/."""

import re
import statistics

import pytest

from adapters.experiment import comparison_report
from adapters.training import tidy
from tests.imports import ROOT

README = (ROOT / "README.md").read_text()
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *ROOT.glob("docs/*.md"),
]
ROW = re.compile(
    r"^\| [^|]+ \| `(\S+)` \| ([\d.]+) ± ([\d.]+) \| ([\d.]+) \| ([\d,]+) \| (\d+) \|$", re.M
)


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_what_is_there(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_the_five_rows_are_those_of_the_runs():
    rows = [row for row in tidy.read(ROOT / "results" / "pocket_decathlon.csv") if row.patch]
    split, outcomes = comparison_report.outcomes(rows)
    assert split == "test"
    by_patch = {outcome.patch: outcome for outcome in outcomes}
    lowest, highest = by_patch["head_only"].mean, by_patch["full"].mean
    stated = ROW.findall(README)
    assert [patch for patch, *_ in stated] == [*by_patch]
    for patch, *figures in stated:
        own = by_patch[patch]
        way = comparison_report.share_of_the_way(lowest, own.mean, highest)
        assert figures == [
            f"{100 * own.mean:.2f}",
            f"{100 * own.spread:.2f}",
            f"{100 * min(own.by_task.values()):.1f}",
            f"{own.bytes:,.0f}",
            f"{100 * way:.0f}",
        ]


def test_what_it_says_beside_other_tools_is_of_the_same_runs():
    rows = tidy.read(ROOT / "results" / "pocket_decathlon.csv")

    def mean(patch, metric):
        found = [row.value for row in rows if (row.patch, row.metric) == (patch, metric)]
        return statistics.fmean(found)

    sizes = {patch: mean(patch, "patch") for patch in ("head_only", "scale_bias", "full")}
    assert f"a patch: {sizes['scale_bias'] / 1000:.0f} kB with `scale_bias`" in README
    assert f", {sizes['head_only'] / 1000:.0f} kB of it the classifier and the card" in README
    assert f"a network: {sizes['full'] / 1e6:.1f} MB" in README


def test_every_command_is_named():
    scripts = {path.stem for path in (ROOT / "launch").glob("*.py")}
    commands = {name for name in scripts if (ROOT / "launch" / name).is_file()}
    assert commands <= set(re.findall(r"launch/(\w+)", README))
    assert set(re.findall(r"launch/(\w+)", README)) <= commands
