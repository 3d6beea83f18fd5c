"""How often the interval of a correlation over runs, steps and sources holds the truth.

    python benchmarks/correlation_coverage.py [--simulations 500]

makes studies of 4 and 5 runs x 11 steps x 20 sources like `studies/tiny`: sources differ in chance level and in when
and how far they rise, runs in their pace, every run on every source a little more; both numbers share these in part and
are measured with noise. The truth is the correlation of the same kind over thousands of runs and sources. Beside the
interval of `radar_metrics.panel_correlation` stands the one that takes points as independent (Fisher's).
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radar_metrics.panel_correlation import Kind, Panel, panel_correlation, panel_difference, panel_r
from radar_metrics.signal import correlation

STEPS = np.array([50, 71, 100, 141, 200, 283, 400, 566, 800, 1131, 1600])


@dataclass(frozen=True)
class MadeStudy:
    """How much runs and sources differ, in units of log step from the first step (0) to the last one (1).

    Attributes:
        name: in the table.
        pace: standard deviation, between runs, of when everything rises.
        onset: between sources.
        own: of every run on every source.
    """

    name: str
    pace: float
    onset: float
    own: float


STUDIES = (
    MadeStudy("seeds alone", 0.02, 0.25, 0.03),
    MadeStudy("runs and sources differ", 0.15, 0.25, 0.05),
    MadeStudy("runs differ most", 0.30, 0.05, 0.05),
    MadeStudy("every run has its own sources", 0.02, 0.05, 0.25),
)


def points(
    made: MadeStudy, runs: int, sources: int, rng: np.random.Generator
) -> tuple[Panel, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Where the points stand, then (n,) a metric, another metric that is worse, and the number from outside."""
    shape = (runs, len(STEPS), sources)
    time = ((np.log(STEPS) - np.log(STEPS[0])) / np.log(STEPS[-1] / STEPS[0]))[None, :, None]
    chance = 1 / rng.choice([2, 3, 4], size=(1, 1, sources))

    def shared(scale: float, *size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # Correlated at .7: what moves the one number moves the other, but not only that.
        first, second = rng.normal(scale=scale, size=(2, *size))
        return first, 0.7 * first + math.sqrt(1 - 0.7**2) * second

    pace, onset, own = (
        shared(made.pace, runs, 1, 1),
        shared(made.onset, 1, 1, sources),
        shared(made.own, runs, 1, sources),
    )
    height = shared(1.0, 1, 1, sources)
    levels = []
    for k in range(2):
        risen = 1 / (1 + np.exp(-8 * (time - 0.5 - pace[k] - onset[k] - own[k])))
        levels.append(chance + (1 - chance) * risen / (1 + np.exp(-height[k])))
    metric = levels[0] + rng.normal(scale=0.02, size=shape)
    worse = levels[0] + rng.normal(scale=0.15, size=shape)
    after = rng.binomial(100, levels[1]) / 100
    run, step, source = np.indices(shape)
    panel = Panel(run.ravel(), source.ravel(), STEPS[step.ravel()].astype(np.float64))
    return panel, metric.ravel(), worse.ravel(), after.ravel()


@dataclass(frozen=True)
class Truth:
    """Correlations over very many runs and sources: of each kind, and the pooled one less that of the worse metric."""

    of_kind: dict[Kind, float]
    difference: float


def truth_of(made: MadeStudy, rng: np.random.Generator) -> Truth:
    """By making them, several times: a run is a draw, and so is a source."""
    of_kind: dict[Kind, list[float]] = {kind: [] for kind in Kind}
    of_worse = []
    for _ in range(20):
        panel, metric, worse, after = points(made, 200, 500, rng)
        for kind in Kind:
            of_kind[kind].append(panel_r(kind, panel, metric, after))
        of_worse.append(panel_r(Kind.pooled, panel, worse, after))
    means = {kind: float(np.mean(values)) for kind, values in of_kind.items()}
    return Truth(means, means[Kind.pooled] - float(np.mean(of_worse)))


def coverage(made: MadeStudy, truth: Truth, runs: int, simulations: int, sources: int = 20) -> dict[str, float]:
    """Share of intervals that hold the truth: by kind, `difference` from the worse metric, `points` as independent."""
    rng = np.random.default_rng(runs)
    held = dict.fromkeys([*(kind.value for kind in Kind), "difference", "points"], 0)
    for _ in range(simulations):
        panel, metric, worse, after = points(made, runs, sources, rng)
        for kind in Kind:
            found = panel_correlation(kind, metric, after, panel)
            held[kind.value] += found is not None and found.r.low <= truth.of_kind[kind] <= found.r.high
        less = panel_difference(Kind.pooled, metric, worse, after, panel)
        held["difference"] += less is not None and less.low <= truth.difference <= less.high
        fisher = correlation(metric, after).pearson
        held["points"] += fisher.low <= truth.of_kind[Kind.pooled] <= fisher.high
    return {name: count / simulations for name, count in held.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=500, help="made studies of each sort")
    simulations = parser.parse_args().simulations
    names = [*(kind.value for kind in Kind), "difference", "points"]
    print(f"| study | runs | {' | '.join(names)} |\n| --- | ---: |{' ---: |' * len(names)}", flush=True)
    for made in STUDIES:
        truth = truth_of(made, np.random.default_rng(0))
        for runs in (4, 5):
            held = coverage(made, truth, runs, simulations)
            cells = " | ".join(f"{held[name]:.1%}" for name in names)
            print(f"| {made.name} | {runs} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
