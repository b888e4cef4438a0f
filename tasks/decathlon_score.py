"""The Visual Decathlon's score: one number for ten accuracies.

`S = sum_d 1000 * (max(0, Emax_d - E_d) / Emax_d)**2`, where `E_d` is a domain's test error and
`Emax_d` twice the error of a fully fine-tuned ResNet-26. That baseline scores 2,500; perfection
scores 10,000.

Reference: Rebuffi, Bilen, Vedaldi, "Learning multiple visual domains with residual adapters", 2017,
arXiv:1705.08045, section 4. The baseline's errors are those published with the benchmark: an Emax
made from another baseline or another split gives a different score, not to be compared.
"""

from collections.abc import Mapping

from adapters import errors

HIGHEST_ERROR = {
    "imagenet12": 80.26,
    "aircraft": 79.32,
    "cifar100": 35.76,
    "daimlerpedcls": 14.36,
    "dtd": 88.94,
    "gtsrb": 4.94,
    "vgg-flowers": 37.18,
    "omniglot": 24.62,
    "svhn": 6.90,
    "ucf101": 97.60,
}
"""Emax of each domain, percent: an error this high, or higher, earns nothing."""


class ScoreError(errors.ModelPatchError):
    """Accuracies that are not the ten of the decathlon, in percent."""


def decathlon_score(accuracies: Mapping[str, float]) -> float:
    """Returns S in 0..10000 of the ten domains' accuracies in percent, named as in `HIGHEST_ERROR`.

    Raises ScoreError when a domain is missing or unknown, or an accuracy lies outside 0..100.
    """
    if set(accuracies) != set(HIGHEST_ERROR):
        missing = sorted(set(HIGHEST_ERROR) - set(accuracies))
        unknown = sorted(set(accuracies) - set(HIGHEST_ERROR))
        raise ScoreError(f"the score needs the ten domains; missing {missing}, unknown {unknown}.")
    return sum(domain_score(name, accuracy) for name, accuracy in accuracies.items())


def domain_score(domain: str, accuracy: float) -> float:
    """Returns what one domain adds to S, in 0..1000, for an accuracy in percent.

    Raises ScoreError, or UnknownNameError for the domain.
    """
    if domain not in HIGHEST_ERROR:
        raise errors.UnknownNameError("decathlon domain", domain, HIGHEST_ERROR)
    if not 0 <= accuracy <= 100:
        raise ScoreError(f"the accuracy of {domain} is {accuracy}; it must be a percentage.")
    highest = HIGHEST_ERROR[domain]
    return 1000 * (max(0.0, highest - (100 - accuracy)) / highest) ** 2
