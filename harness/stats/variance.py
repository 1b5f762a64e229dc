"""What the noise of a score is made of, and what would make less of it: more samples or more repeats.

In: scores of samples that were answered, and perhaps judged, several times. Out: the parts of their variance,
and the standard error that other numbers of samples, repeats and judges would have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from harness.stats.clusters import Floats


@dataclass(frozen=True, slots=True)
class VarianceParts:
    """Variances of a score, in squared units of the score; a part of 0 was too small to be seen.

    between: of samples, which differ in how hard they are; more repeats leave it as it is. sampling: of
    answers to the same sample; `None` with one answer each: it is then part of `between`. judging: of
    verdicts on the same answer; `None` with one verdict each: it is then part of the one before.
    """

    between: float
    sampling: float | None
    judging: float | None

    def standard_error(self, samples: int, repeats: int = 1, judges: int = 1) -> float:
        """The standard error of a mean over this many samples, answers to each, and verdicts on each.

        sqrt((between + (sampling + judging / judges) / repeats) / samples). For the same number of calls a
        new sample is always worth more than another repeat; repeats help where samples have run out, and
        only while sampling / repeats is not small beside between. What all judges have in common, such as a
        leaning to long answers, is no variance and does not go away.
        Raises StatsError for a number below 1, and for more repeats or judges when their part is unknown.
        Source: Miller 2024, arXiv 2411.00640, section 3.1 on resampling; the judges are ours.
        """
        if min(samples, repeats, judges) < 1:
            raise StatsError(
                f"{samples!r} samples, {repeats!r} repeats, {judges!r} judges; expected at least 1"
            )
        if (repeats > 1 and self.sampling is None) or (judges > 1 and self.judging is None):
            raise StatsError(
                "what repeats or judges add is unknown; it takes scores with two or more of them"
            )
        judging = (self.judging or 0.0) / judges
        return math.sqrt((self.between + ((self.sampling or 0.0) + judging) / repeats) / samples)


def variance_parts(scores: ArrayLike) -> VarianceParts:
    """The variance of scores between samples, between answers to a sample, and between verdicts on an answer.

    scores: shape (samples, repeats) or (samples, repeats, judges), from -1 to 1, so that differences of two
    settings can be split too. NaN: unknown; samples with one are left out as a whole. A judge's general
    strictness counts as variance of verdicts. An estimate that comes out negative is given as 0.
    Raises StatsError for other shapes and values, and for fewer than two samples that are whole.
    Source: nested random-effects analysis of variance, Searle, Casella and McCulloch 1992, chapter 3.6.
    """
    array = _checked(scores)
    samples, repeats, judges = array.shape
    answers, per_sample = array.mean(axis=2), array.mean(axis=(1, 2))
    between_samples = repeats * judges * float(np.var(per_sample, ddof=1))
    between_answers = _mean_square(answers, per_sample[:, None], samples * (repeats - 1), weight=judges)
    between_verdicts = _mean_square(array, answers[:, :, None], samples * repeats * (judges - 1))
    # Each mean square holds the parts below it as well; what is not repeated cannot be taken out.
    judging = between_verdicts
    sampling = None if between_answers is None else (between_answers - (between_verdicts or 0.0)) / judges
    below = between_answers if between_answers is not None else between_verdicts
    between = (between_samples - (below or 0.0)) / (repeats * judges)
    return VarianceParts(max(0.0, between), None if sampling is None else max(0.0, sampling), judging)


def _mean_square(values: Floats, means: Floats, freedom: int, weight: int = 1) -> float | None:
    return weight * float(np.sum((values - means) ** 2)) / freedom if freedom else None


def _checked(scores: ArrayLike) -> Floats:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or 0 in array.shape:
        raise StatsError(
            f"scores have shape {array.shape}; expected (samples, repeats) or with judges as third"
        )
    if (np.abs(array) > 1).any():
        raise StatsError("a score is out of range; expected numbers from -1 to 1, or NaN for unknown")
    whole = array[~np.isnan(array).any(axis=(1, 2))]
    if len(whole) < 2:
        raise StatsError(f"{len(whole)} samples have all their scores; at least 2 are needed")
    return whole
