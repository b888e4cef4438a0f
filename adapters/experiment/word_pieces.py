"""A text as the numbers of word pieces, as BERT's uncased vocabulary cuts it.

Devlin, Chang, Lee, Toutanova, "BERT", arXiv 1810.04805, with the pieces of Wu et al.,
arXiv 1609.08144: lower case without accents, words at spaces and around punctuation, and of each
word the longest piece that is known, then the longest of what is left.
"""

import unicodedata
from collections.abc import Mapping, Sequence

_BEGIN, _END, _UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
_INSIDE = "##"  # before pieces that begin no word
_LONGEST = 100  # letters of a word that is cut


def pieces(text: str, vocabulary: Mapping[str, int]) -> list[int]:
    """The numbers of a text's pieces, between those that begin and end every text.

    >>> vocabulary = {"[CLS]": 0, "[SEP]": 1, "[UNK]": 2, "lady": 3, "##bird": 4, "!": 5}
    >>> pieces("Ladybird! Bird", vocabulary)
    [0, 3, 4, 5, 2, 1]
    """
    found = [piece for word in _words(text) for piece in _cut(word, vocabulary)]
    return [vocabulary[piece] for piece in (_BEGIN, *found, _END)]


def _words(text: str) -> list[str]:
    """Lower-case words, and marks of punctuation, each alone."""
    plain = [
        letter
        for letter in unicodedata.normalize("NFD", text.lower())
        if unicodedata.category(letter) != "Mn"
    ]
    return "".join(f" {each} " if _stands_alone(each) else each for each in plain).split()


def _stands_alone(letter: str) -> bool:
    """Marks, as BERT has them, and the signs of Chinese."""
    mark = letter.isascii() and letter.isprintable() and not (letter.isalnum() or letter == " ")
    chinese = "\u4e00" <= letter <= "\u9fff" or "\u3400" <= letter <= "\u4dbf"
    return mark or chinese or unicodedata.category(letter).startswith("P")


def _cut(word: str, vocabulary: Mapping[str, int]) -> Sequence[str]:
    found: list[str] = []
    start = 0
    while start < len(word) <= _LONGEST:
        before = _INSIDE if start else ""
        known = (
            end for end in range(len(word), start, -1) if before + word[start:end] in vocabulary
        )
        end = next(known, None)
        if end is None:
            return [_UNKNOWN]
        found.append(before + word[start:end])
        start = end
    return found or [_UNKNOWN]
