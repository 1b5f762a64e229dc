"""What vectors of texts are good for, told by the plainest model on top of them.

In: vectors, one a text, which are not changed, and labels. Out: a label, or a cluster, for each text. Vectors
are taken at length 1. Settings are those of MTEB, so that figures can be compared, but for the departures
that are said. One of two modules that may load scikit-learn, and only when asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from harness.errors import StatsError
from harness.stats.neighbours import unit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FOLDS = 5
# MTEB stops after 100 steps; where a solver has not settled by then, its answer depends on its version.
MOST_STEPS = 2_000
STARTS = 10  # k-means keeps the best of so many
MOST_WORDS = 4096  # of TF-IDF
# A text without a known word has no direction. This much of a dimension that all texts share gives it one, by
# which nothing is nearer to it than anything else.
SHARED = 1e-6


def cross_fitted_labels(
    vectors: ArrayLike, labels: Sequence[str], *, seed: int, groups: Sequence[Hashable] | None = None
) -> list[str]:
    """The label of each text, told by a logistic regression that never saw it.

    vectors: shape (texts, dimensions). groups: texts of one group are in one fold; `None`: each is its own.
    The texts are dealt into 5 folds of equal shares of labels, or as many as the rarest label has texts, and
    each fold is told by a model of the others (C = 1, L2 penalty). Figures of these labels count every text
    once. Raises StatsError for different lengths, a single label, and a label with one text or one group.
    Source: MTEB (Muennighoff et al. 2022, arXiv 2210.07316), section 3.2; cross-fitting in place of draws of
    8 texts a label is ours: no text is left out, and no draw decides.
    """
    array = _checked(vectors, labels)
    rarest, fewest = _rarest(labels, groups)
    if fewest < 2 or len(set(labels)) < 2:
        raise StatsError(
            f"label {rarest!r} has {fewest} independent text(s), and there are {len(set(labels))} labels; "
            "classification needs two labels or more, each with two texts or more of different groups"
        )
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = kind(min(FOLDS, fewest), shuffle=True, random_state=seed)
    names = sorted(set(labels))
    wanted = np.array([names.index(label) for label in labels])
    clusters = None if groups is None else _numbered(groups)
    told = np.empty(len(labels), np.intp)
    for seen, unseen in folds.split(array, wanted, clusters):
        model = LogisticRegression(max_iter=MOST_STEPS, random_state=seed)
        told[unseen] = model.fit(array[seen], wanted[seen]).predict(array[unseen])
    return [names[place] for place in told.tolist()]


def clusters(vectors: ArrayLike, n: int, *, seed: int) -> list[int]:
    """The cluster of each text, from 0 to n - 1, found without any label.

    vectors: shape (texts, dimensions). n: how many clusters, as a rule as many as there are labels.
    k-means, the best of 10 starts. Raises StatsError unless 1 <= n <= texts.
    Source: MTEB, as above; k-means on all texts in place of mini-batches is ours: the same on every machine.
    """
    array = _checked(vectors, None)
    if not 1 <= n <= len(array):
        raise StatsError(f"{n} clusters of {len(array)} texts; expected from 1 to as many as there are texts")
    from sklearn.cluster import KMeans

    found = KMeans(n, n_init=cast("Any", STARTS), random_state=seed).fit_predict(array)
    return [int(one) for one in found]


def tf_idf(texts: Sequence[str]) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """Learn words and their weights from these texts; gives a function of texts, shape (texts, words + 1).

    Words are case-folded, of two letters or more, the 4,096 most frequent ones. Source: scikit-learn's
    `TfidfVectorizer` with sublinear counts: (1 + log tf) (1 + log((1 + n) / (1 + df))), length 1.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, max_features=MOST_WORDS)
    words.fit([*texts, "word"])  # one text of stop marks alone would leave no word at all

    def vectors(asked: Sequence[str]) -> NDArray[np.float32]:
        found = np.asarray(words.transform(asked).todense(), np.float32)
        return np.column_stack([found, np.full(len(asked), SHARED, np.float32)])

    return vectors


def _checked(vectors: ArrayLike, labels: Sequence[str] | None) -> NDArray[np.float64]:
    array = np.asarray(vectors, np.float32)
    if array.ndim != 2 or not array.size or (labels is not None and len(labels) != len(array)):
        beside = "" if labels is None else f" and {len(labels)} labels"
        raise StatsError(
            f"vectors have shape {array.shape}{beside}; expected one vector and one label a text"
        )
    return unit(array, "the texts").astype(np.float64)


def _rarest(labels: Sequence[str], groups: Sequence[Hashable] | None) -> tuple[str, int]:
    """The label with the fewest independent texts, and how many it has."""
    owners = range(len(labels)) if groups is None else groups
    counts = Counter(label for label, _ in set(zip(labels, owners, strict=True)))
    return min(counts.items(), key=lambda pair: (pair[1], pair[0]))


def _numbered(groups: Sequence[Hashable]) -> NDArray[np.intp]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups])
