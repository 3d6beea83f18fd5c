"""Does an item bank beat random questions? Leave one training out, on the study's runs.

    python benchmarks/item_bank.py RESULTS... [--draws 40]

For each run a bank is fitted on the other runs, and every checkpoint of the run is measured by 20, 50 and 100 questions
an ability: drawn at random; the same number of each source (stratified); those that tell most by the bank, with the
bank's expectation as the estimate; and stratified with the assisted estimate (`radar_metrics.item_bank`). One choice
of questions is used at all checkpoints of a run, as `--limit` does. The truth is the mean over all questions of an
ability's sources. RMSE of the level, RMSE of the change from one checkpoint to the next, and how much longer the way
of the measured curve is than that of the true one (total variation, less the true one's). A run that shares a
checkpoint with the one left out, bit for bit, is left out with it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radar_metrics.item_bank import assisted_mean, by_information, fit_items
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.questions import ABILITIES
from radar_tasks.report.text_tables import markdown
from radar_tasks.results import TrainingRun, find_runs
from radar_tasks.results.metrics import question_matrix

SIZES = (20, 50, 100)
WAYS = ("random", "stratified", "by information", "stratified, assisted")
NEGATIVE_CONTROL = "mini_side"
"""Asked beside the twenty abilities, and none of them."""


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
    parser.add_argument("--draws", type=int, default=40, help="choices of random questions a run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    trainings = training_runs(find_runs(options.results))[0]
    rng = np.random.default_rng(options.seed)
    rows = []
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
            for way in WAYS:
                level, change, longer = np.mean([of[way].errors for of in measured], axis=0)
                rows.append([f"{ability}, {size}", way, f"{level**0.5:.4f}", f"{change**0.5:.4f}", f"{longer:.3f}"])
    print(f"{len(tables)} runs, {sum(map(len, tables.values()))} checkpoints, {options.draws} draws\n")
    print(markdown(["questions an ability", "chosen", "RMSE", "RMSE of changes", "longer way"], rows))


def _scores(training: TrainingRun, sources: Sequence[str]) -> np.ndarray:
    """(S, N) SDS of the questions of all sources, side by side."""
    parts = [question_matrix(training, source, "sds") for source in sources]
    return np.concatenate([part for part in parts if part is not None], axis=1)


def _measure(
    tables: Mapping[str, np.ndarray], run: str, strata: np.ndarray, rng: np.random.Generator, *, size: int, draws: int
) -> dict[str, Measured]:
    own = tables[run]
    twins = [name for name, table in tables.items() if any((own == row).all(axis=1).any() for row in table)]
    bank = fit_items(np.concatenate([table for name, table in tables.items() if name not in twins]))
    truth = np.mean([own[:, strata == k].mean(axis=1) for k in range(strata.max() + 1)], axis=0)
    told = by_information(bank, size, strata, -(-size // (int(strata.max()) + 1)))
    random = [rng.choice(len(strata), size, replace=False) for _ in range(draws)]
    even = [_stratified(strata, size, rng) for _ in range(draws)]
    return {
        "random": Measured(truth, np.array([own[:, asked].mean(axis=1) for asked in random])),
        "stratified": Measured(truth, np.array([own[:, asked].mean(axis=1) for asked in even])),
        "by information": Measured(truth, np.array([[bank.expected(told, row[told]).mean() for row in own]])),
        "stratified, assisted": Measured(
            truth, np.array([[assisted_mean(bank, asked, row[asked], strata) for row in own] for asked in even])
        ),
    }


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
