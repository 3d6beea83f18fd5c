"""Is an item bank worth having? Leave one training out, on runs of one study.

    python benchmarks/item_bank.py RESULTS... [--draws 20]

Every checkpoint of a run but the first is measured by 20, 50 and 100 questions per ability, against the mean over all
questions of the ability's sources, in these ways:

* random; stratified: the same number of each source, by lot;
* by information: those that tell most by a bank of all other runs, with its expectation as the estimate;
* assisted: stratified, and corrected by what a bank of 1, 3 or all other runs expects of the questions not asked;
* against the checkpoint before: stratified; all questions of the run's checkpoint before are known, and the change is
  estimated from those asked; with their slope: of what is known as much is believed as the questions asked follow.

One choice of questions is used at all checkpoints of a run, as `--limit` does. RMSE of the level, RMSE of the change
from one checkpoint to the next, how much longer the way of the measured curve is than that of the true one (total
variation, less the true one's), and in how many of the runs the level is nearer than stratified. A run that shares a
checkpoint with the one left out, bit for bit, is left out with it.

The bank is a factor analysis over checkpoints (principal factors): soft scores are numbers in [0, 1] and not right or
wrong, so that the item model is a normal one (as in adaptive testing with continuous scores, arXiv 2601.13885),

    y_ci = mean_i + loading_i . f_c + e_ci,    f_c ~ N(0, 1_K),    e_ci ~ N(0, spread_i^2)

for question i at checkpoint c. The assisted mean is the difference estimator of survey sampling (Cassel, Särndal and
Wretman, 1976): the mean of what is expected, plus the mean of what the questions asked miss of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.questions import ABILITIES
from radar_tasks.report.text_tables import markdown
from radar_tasks.results import TrainingRun, find_runs
from radar_tasks.results.metrics import question_matrix

SIZES = (20, 50, 100)
BANKS = (1, 3, None)
"""Other runs that a bank is fitted on; None: all."""
NEGATIVE_CONTROL = "mini_side"
"""Asked beside the twenty abilities, and none of them."""
FACTORS = 8
LEAST_SPREAD = 0.03
"""No question's score is known better than this, in the unit of SDS: checkpoints of a new training are others."""


@dataclass(frozen=True)
class ItemBank:
    """An item model of N questions.

    Attributes:
        mean: (N,) expected score over the checkpoints that it was fitted on.
        loading: (N, K) change of the score for a unit of each factor.
        spread: (N,) standard deviation of what the factors leave over, above 0.
    """

    mean: np.ndarray
    loading: np.ndarray
    spread: np.ndarray

    def expected(self, asked: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """(N,) what all questions' scores are expected to be after `asked` (n,) had `scores` (n,)."""
        of = self.loading[asked] / self.spread[asked, None] ** 2
        precision = np.eye(self.loading.shape[1]) + self.loading[asked].T @ of
        factors = np.linalg.solve(precision, of.T @ (scores - self.mean[asked]))
        return np.asarray(self.mean + self.loading @ factors)


def fitted(table: np.ndarray) -> ItemBank:
    """The bank of scores (C, N)."""
    mean = table.mean(axis=0)
    count = min(FACTORS, len(table) // 2)
    left, strength, right = np.linalg.svd(table - mean, full_matrices=False)
    kept = (left[:, :count] * strength[:count]) @ right[:count]
    rest = ((table - mean - kept) ** 2).sum(axis=0) / (len(table) - count)
    loading = right[:count].T * strength[:count] / np.sqrt(len(table))
    return ItemBank(mean, loading, np.maximum(np.sqrt(rest), LEAST_SPREAD))


def by_information(bank: ItemBank, count: int, strata: np.ndarray, most: int) -> np.ndarray:
    """Each the next question that lowers the variance of the mean over all most, `most` of a stratum.

    The variance after asking does not depend on the answers in a normal model, so that the order is known beforehand.
    """
    towards = bank.loading.mean(axis=0)
    covariance = np.eye(len(towards))
    free = np.ones(len(bank.mean), dtype=bool)
    used = np.zeros(int(strata.max()) + 1, dtype=np.int64)
    chosen: list[int] = []
    for _ in range(count):
        shared = bank.loading @ covariance
        variance = bank.spread**2 + (shared * bank.loading).sum(axis=1)
        gain = np.where(free & (used[strata] < most), (shared @ towards) ** 2 / variance, -1.0)
        next_one = int(gain.argmax())
        covariance = covariance - np.outer(shared[next_one], shared[next_one]) / variance[next_one]
        free[next_one] = False
        used[strata[next_one]] += 1
        chosen.append(next_one)
    return np.array(chosen)


@dataclass(frozen=True)
class Measured:
    """An ability over the checkpoints of one run: true means (S,), and estimates (R, S) of R choices of questions."""

    truth: np.ndarray
    estimates: np.ndarray

    @property
    def errors(self) -> tuple[float, float, float]:
        """Mean squared error of level and of change, and total variation beyond the true one."""
        change, true_change = np.diff(self.estimates, axis=1), np.diff(self.truth)
        longer = np.abs(change).sum(axis=1) - np.abs(true_change).sum()
        level = ((self.estimates - self.truth) ** 2).mean()
        return float(level), float(((change - true_change) ** 2).mean()), float(longer.mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--draws", type=int, default=20, help="choices of random questions per run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    trainings = training_runs(find_runs(options.results))[0]
    rng = np.random.default_rng(options.seed)
    rows: list[list[str]] = []
    errors: dict[str, list[np.ndarray]] = {}  # by way (R, 3) of each ability and size
    for ability in ABILITIES:
        sources = [
            source
            for source in trainings[0].sources
            if source != NEGATIVE_CONTROL and trainings[0].results[0].sources[source].ability == ability
        ]
        tables = {
            training.name: _scores(training, sources) for training in trainings if set(sources) <= set(training.sources)
        }
        strata = np.repeat(np.arange(len(sources)), [len(trainings[0].results[0].sources[s]) for s in sources])
        for size in SIZES:
            measured = [_measure(tables, run, strata, rng, size=size, draws=options.draws) for run in tables]
            rows.append([f"{ability}, {size}"])
            for way in measured[0]:
                errors.setdefault(way, []).append(np.array([of[way].errors for of in measured]))
                level, change, _ = errors[way][-1].mean(axis=0)
                rows[-1].append(f"{level**0.5:.4f} ({change**0.5:.4f})")
    print(
        f"{len(tables)} runs, {sum(map(len, tables.values()))} checkpoints, {options.draws} draws; RMSE (of changes)\n"
    )
    print(markdown(["questions per ability", *errors], rows))
    summary = []
    for way, of in errors.items():
        nearer = sum(
            int((mine[:, 0] < plain[:, 0]).sum()) for mine, plain in zip(of, errors["stratified"], strict=True)
        )
        told = "" if way == "stratified" else f"{nearer} of {sum(map(len, of))}"
        summary.append([way, told, f"{np.mean([mine[:, 2].mean() for mine in of]):.3f}"])
    print()
    print(markdown(["measured", "level nearer than stratified", "longer way"], summary))


def _scores(training: TrainingRun, sources: Sequence[str]) -> np.ndarray:
    """(S, N) SDS of the questions of all sources, side by side."""
    parts = [question_matrix(training, source, "sds") for source in sources]
    return np.concatenate([part for part in parts if part is not None], axis=1)


def _measure(
    tables: Mapping[str, np.ndarray], run: str, strata: np.ndarray, rng: np.random.Generator, *, size: int, draws: int
) -> dict[str, Measured]:
    own = tables[run]
    now, before = own[1:], own[:-1]
    others = [table for table in tables.values() if not any((own == row).all(axis=1).any() for row in table)]
    every = fitted(np.concatenate(others))
    truth = np.array([_mean_of_strata(row, strata) for row in now])
    even = [_stratified(strata, size, rng) for _ in range(draws)]
    told = by_information(every, size, strata, -(-size // (int(strata.max()) + 1)))
    random = [rng.choice(len(strata), size, replace=False) for _ in range(draws)]

    def assisted(asked: np.ndarray, bank: ItemBank) -> list[float]:
        return [_corrected(bank.expected(asked, row[asked]), row, asked, strata) for row in now]

    estimates: dict[str, list[list[float]]] = {
        "random": [[row[asked].mean() for row in now] for asked in random],
        "stratified": [[row[asked].mean() for row in now] for asked in even],
        "by information": [[every.expected(told, row[told]).mean() for row in now]],
    }
    for count in BANKS:
        drawn = [rng.permutation(len(others))[: count or len(others)] for _ in even]
        banks = [fitted(np.concatenate([others[k] for k in of])) if count else every for of in drawn]
        estimates[f"assisted, {f'{count} other' if count else 'all others'}"] = [
            assisted(asked, bank) for asked, bank in zip(even, banks, strict=True)
        ]
    estimates["against the checkpoint before"] = [
        [_corrected(old, row, asked, strata) for old, row in zip(before, now, strict=True)] for asked in even
    ]
    estimates["with their slope"] = [
        [
            _corrected(_slope(old, row, asked, strata) * old, row, asked, strata)
            for old, row in zip(before, now, strict=True)
        ]
        for asked in even
    ]
    return {way: Measured(truth, np.array(made)) for way, made in estimates.items()}


def _mean_of_strata(values: np.ndarray, strata: np.ndarray) -> float:
    return float(np.mean([values[strata == k].mean() for k in range(strata.max() + 1)]))


def _corrected(expected: np.ndarray, scores: np.ndarray, asked: np.ndarray, strata: np.ndarray) -> float:
    """Mean over strata of what is expected of all questions, plus what those asked miss of it."""
    missed = scores[asked] - expected[asked]
    return _mean_of_strata(expected, strata) + float(
        np.mean([missed[strata[asked] == k].mean() for k in range(strata.max() + 1)])
    )


def _slope(old: np.ndarray, new: np.ndarray, asked: np.ndarray, strata: np.ndarray) -> float:
    """Of the new scores on the old ones over the questions asked, within strata, from 0 to 1."""
    of = strata[asked]
    means = [np.array([part[asked][of == k].mean() for k in range(strata.max() + 1)])[of] for part in (old, new)]
    x, y = old[asked] - means[0], new[asked] - means[1]
    return float(np.clip((x * y).sum() / max((x * x).sum(), 1e-12), 0.0, 1.0))


def _stratified(strata: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """As many of each stratum, or one more of some."""
    shuffled = rng.permutation(len(strata))
    place = np.empty(len(strata))
    for k in rng.permutation(strata.max() + 1):
        members = shuffled[strata[shuffled] == k]
        place[members] = np.arange(len(members)) + rng.random()  # equal ranks in a random order of strata
    return np.argsort(place, kind="stable")[:size]


if __name__ == "__main__":
    main()
