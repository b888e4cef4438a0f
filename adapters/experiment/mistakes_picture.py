"""A picture of the mistakes that a patch was surest of: the images that tell what it learned."""

import io

from PIL import Image, ImageDraw, ImageFont

from adapters.experiment.mounting import INK, PAPER, mounted, shortened
from adapters.heads.assessment import Assessment
from tasks.task import Examples

MOST, COLUMNS = 24, 6  # images
CELL, GAP, LINE, HEADING = 128, 12, 16, 34  # pixels
WRONG = (176, 48, 0)


def picture(title: str, assessment: Assessment, examples: Examples) -> bytes:
    """A PNG: up to 24 images of a split that were answered wrongly, those of the surest first.

    Above each stands what it was taken for and how surely, below that what it is. The same answers
    give the same bytes.

    Args:
      title: of the picture.
      assessment: of the split.
      examples: of the split, in the same order.
    """
    places = assessment.mistakes[:MOST]
    rows = max(1, -(-len(places) // COLUMNS))
    wide, high = CELL + GAP, CELL + 2 * LINE + GAP
    sheet = Image.new("RGB", (GAP + COLUMNS * wide, HEADING + rows * high), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    count = len(assessment.mistakes)
    heading = f"{title}: {count:,} of {len(assessment.truth):,} answered wrongly"
    shown = ", the surest first" if count <= MOST else f", the {MOST} surest of them"
    draw.text((GAP, GAP), heading + (shown if count else ""), INK, ImageFont.load_default(14))
    for number, place in enumerate(places):
        row, column = divmod(number, COLUMNS)
        left, top = GAP + column * wide, HEADING + row * high
        labels = assessment.labels
        share = f" {assessment.confidence[place]:.0%}"
        said = shortened(labels[assessment.answers[place]], font, CELL - font.getlength(share))
        draw.text((left, top), said + share, WRONG, font)
        truth = shortened(f"is {labels[assessment.truth[place]]}", font, CELL)
        draw.text((left, top + LINE), truth, INK, font)
        sheet.paste(mounted(examples[place]["image"], CELL), (left, top + 2 * LINE))
    buffer = io.BytesIO()
    sheet.save(buffer, "png")
    return buffer.getvalue()
