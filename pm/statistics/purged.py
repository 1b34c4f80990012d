"""Cross-validation of outcomes that take time: whatever shares sessions with a test is not learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Fold", "contiguous_groups", "path_of_groups", "purged_folds", "purged_training"]


@dataclass(frozen=True)
class Fold:
    """What is tested in a split, and what is learnt from.

    Attributes
    ----------
    groups
        Groups that are tested.
    test
        Whether each observation is tested: all of these groups, so that no test is shortened.
    training
        Whether each observation is learnt from.
    """

    groups: tuple[int, ...]
    test: NDArray[np.bool_]
    training: NDArray[np.bool_]


def purged_training(
    starts: NDArray[np.int64], ends: NDArray[np.int64], test: NDArray[np.bool_], *, embargo: int = 0
) -> NDArray[np.bool_]:
    """Return which observations may be learnt from while others are tested.

    An observation's window is from its start, when it is decided on, to its end, when its outcome is known. Left out
    are those whose window shares time with that of a tested one, and those that start less than `embargo` after the end
    of one. A window that begins where another ends shares nothing with it.

    Parameters
    ----------
    starts, ends
        Start and end of each window, such as numbers of sessions, shape (observations,); an end is after its start.
    test
        Whether each observation is tested.
    embargo
        Time after the end of a tested window, in the unit of the windows.

    Returns
    -------
    Shape (observations,). No tested observation is among them.

    Raises
    ------
    ValueError
        The embargo is negative, or a window does not end after its start.

    References
    ----------
    López de Prado, M. (2018), Advances in Financial Machine Learning, sections 7.4.1 and 7.4.2.

    Examples
    --------
    >>> starts = np.arange(6)
    >>> purged_training(starts, starts + 2, starts == 2).tolist()
    [True, False, False, False, True, True]
    """
    if embargo < 0:
        raise ValueError(f"an embargo of {embargo} would learn from what shares time with a test")
    if not bool(np.all(ends > starts)):
        raise ValueError("a window does not end after its start, so that nothing could share its time")
    if not test.any():
        return np.ones(len(starts), dtype=np.bool_)
    first, last = starts[test], ends[test]
    shares = (starts[:, np.newaxis] < last + embargo) & (ends[:, np.newaxis] > first)
    return np.asarray(~shares.any(axis=1) & ~test)


def contiguous_groups(starts: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the group of each observation: the different starts, in order, are cut into groups of equal numbers.

    Observations of one start are in one group, since they share their time.

    Raises
    ------
    ValueError
        There are fewer different starts than groups.
    """
    different, place = np.unique(starts, return_inverse=True)
    if len(different) < count:
        raise ValueError(f"{len(different)} different starts cannot be cut into {count} groups")
    return np.asarray(place * count // len(different))


def purged_folds(
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    tested: int = 1,
    embargo: int = 0,
) -> list[Fold]:
    """Return the splits that test each choice of `tested` groups, and learn from what shares no time with them.

    With one group tested this is purged cross-validation; with more it is combinatorial: each group is tested several
    times, each time after learning from other groups, and the tests can be put together to several paths over all
    groups (`path_of_groups`).

    Parameters
    ----------
    starts, ends, embargo
        See `purged_training`.
    groups
        Group of each observation, from `contiguous_groups`.

    References
    ----------
    López de Prado (2018), chapter 12.
    """
    count = int(groups.max()) + 1
    folds = []
    for chosen in combinations(range(count), tested):
        test = np.isin(groups, chosen)
        folds.append(Fold(chosen, test, purged_training(starts, ends, test, embargo=embargo)))
    return folds


def path_of_groups(folds: list[Fold], count: int) -> list[dict[int, int]]:
    """Return the paths over all groups: for each, the fold in which each group is tested; every test is used once.

    Parameters
    ----------
    folds
        All choices of groups, from `purged_folds`.
    count
        Number of groups.

    Examples
    --------
    >>> starts = np.arange(4)
    >>> folds = purged_folds(starts, starts + 1, contiguous_groups(starts, 4), tested=2)
    >>> path_of_groups(folds, 4)
    [{0: 0, 1: 0, 2: 1, 3: 2}, {0: 1, 1: 3, 2: 3, 3: 4}, {0: 2, 1: 4, 2: 5, 3: 5}]
    """
    tests = {group: [place for place, fold in enumerate(folds) if group in fold.groups] for group in range(count)}
    tested = len(folds[0].groups)
    return [{group: tests[group][path] for group in range(count)} for path in range(comb(count - 1, tested - 1))]
