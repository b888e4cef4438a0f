"""The text encoder against the published one, as transformers 5 and PyTorch run it."""

import numpy as np
import pytest

from adapters.experiment.text_encoder import encoder
from adapters.experiment.word_pieces import pieces

# Every 96th number of a text's vector, and its word pieces.
PUBLISHED = {
    "warning": ((0.09215911, -0.06383174, -0.02110131, -0.03878872), (101, 5432, 102)),
    "a green apple": (
        (0.02420409, -0.03313186, -0.03846293, 0.00439554),
        (101, 1037, 2665, 6207, 102),
    ),
    "ladybird": ((-0.05299718, -0.03292728, 0.1587827, -0.00725836), (101, 3203, 9001, 102)),
    "\u00dcberraschung, don't!": (
        (0.02846446, -0.08926968, -0.05964733, -0.02149107),
        (101, 19169, 8180, 20760, 3070, 1010, 2123, 1005, 1056, 999, 102),
    ),
    "smallest stop-sign 42": (
        (0.02891884, 0.02790666, 0.03835785, 0.05480598),
        (101, 10479, 2644, 1011, 3696, 4413, 102),
    ),
    "": ((-0.1188384, 0.02904222, -0.08647778, -0.02274675), (101, 102)),
}


@pytest.mark.registry
def test_texts_mean_what_the_published_encoder_says():
    own = encoder()
    found = own.embedded(list(PUBLISHED))
    for vector, (text, (numbers, cut)) in zip(found, PUBLISHED.items(), strict=True):
        assert tuple(pieces(text, own.vocabulary)) == cut
        np.testing.assert_allclose(vector[::96], numbers, atol=1e-6)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    truck, vehicle = own.embedded(["truck", "vehicle"])
    assert truck @ vehicle == pytest.approx(0.765543, abs=1e-5)


def test_words_are_cut_into_the_longest_pieces_that_are_known():
    vocabulary = {piece: number for number, piece in enumerate(["[CLS]", "[SEP]", "[UNK]"])}
    vocabulary |= {"stop": 3, "##pe": 4, "##d": 5, "-": 6, "sto": 7}
    assert pieces("St\u00f3pped-stop", vocabulary) == [0, 3, 4, 5, 6, 3, 1]
    assert pieces("  ", vocabulary) == [0, 1]
    assert pieces("stopx stop", vocabulary) == [0, 2, 3, 1]
    assert pieces("x" * 200, vocabulary) == [0, 2, 1]
