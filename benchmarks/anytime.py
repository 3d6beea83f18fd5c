"""Asking until it is decided (`until=`): false alarms, how soon a change is found, and what a long training costs.

    python benchmarks/anytime.py RESULTS... [--runs 1000] [--measurements 100]

Everything is drawn from differences of p(right) that were measured: `RESULTS` are results of trainings (packed files or
folders), and each pair of checkpoints that follow each other gives a population for each ability. Its mean is shifted
to the change that is to be there (0, 0.03), so that the truth is known and spread, tails and pictures are real.
Each run draws one order of the pictures and keeps it for all its measurements, as a training does. All verdicts are at
the level that `until=` uses for two abilities.

The fixed test that is compared with is a paired z test on a number of questions chosen beforehand, with the true spread
within sources known to it, for a stratified sample without replacement of these questions, at 0.05 / (100 * 2): the
level at which as many measurements have as few false alarms.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from radar_metrics.anytime import anytime_interval, decide_change, draw_order, shared_level
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.follow.until import LEVEL, MEASUREMENTS, Earlier, Until
from radar_tasks.harness.documents import Documents, Place
from radar_tasks.questions import ABILITIES
from radar_tasks.results import SourceSamples, TrainingRun, find_runs
from radar_tasks.results.metrics import per_question

ABILITIES_ASKED = len(ABILITIES)
DELTA = 0.02


@dataclass(frozen=True)
class Population:
    """The differences of an ability between two checkpoints, a picture each, and the pictures' shares."""

    name: str
    differences: np.ndarray
    shares: np.ndarray
    sources: np.ndarray

    def with_mean(self, mean: float) -> np.ndarray:
        """The same, shifted to a mean; what would leave [-1, 1] is cut, and the shift made up for it."""
        values = self.differences
        for _ in range(50):
            values = np.clip(values - self.shares @ values + mean, -1.0, 1.0)
        return values

    @property
    def spread(self) -> float:
        """Standard deviation within sources, weighted by share."""
        inside = [self.shares[self.sources == s].sum() * self.differences[self.sources == s].var()
                  for s in np.unique(self.sources)]  # fmt: skip
        return math.sqrt(sum(inside))

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """One of the orders in which the pictures can be drawn."""
        return draw_order(self.shares, rng.uniform(1e-12, 1 - 1e-12, len(self.shares)))


def populations(run: TrainingRun) -> list[Population]:
    """Of each ability and each two checkpoints that follow each other."""
    found = []
    for before, after in pairwise(run.results):
        for ability in ABILITIES:
            sources = [s for s in run.sources if after.sources[s].ability == ability]
            means, shares, names = [], [], []
            for source in sources:
                new, old = after.sources[source], before.sources[source]
                of_question = per_question(new, "sds") - per_question(old, "sds")
                _, picture, sizes = np.unique(new.image_id, return_inverse=True, return_counts=True)
                means.append(np.bincount(picture, weights=of_question) / sizes)
                shares.append(sizes / sizes.sum() / len(sources))
                names += [source] * len(sizes)
            if sources:
                name = f"{run.name} {before.step}-{after.step} {ability}"
                found.append(Population(name, np.concatenate(means), np.concatenate(shares), np.array(names)))
    return found


def main() -> None:
    """Simulate and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--measurements", type=int, default=MEASUREMENTS)
    parser.add_argument("--only", nargs="*", default=["alarms", "power", "training"], help="what to simulate")
    chosen = parser.parse_args()
    warnings.simplefilter("error", RuntimeWarning)
    trainings, _ = training_runs(find_runs(chosen.results))
    made = [population for run in trainings for population in populations(run)]
    spreads = [population.spread for population in made]
    sizes = [len(population.shares) for population in made]
    print(f"{len(made)} populations of {min(sizes)} to {max(sizes)} pictures from {len(trainings)} training run(s)")
    print(
        f"standard deviation of a difference: {min(spreads):.3f} to {max(spreads):.3f}, median {np.median(spreads):.3f}"
    )
    rng = np.random.default_rng(20261126)
    if "alarms" in chosen.only:
        alarms(made, rng, chosen.runs, chosen.measurements)
    if "power" in chosen.only:
        power(made, rng, chosen.runs)
    if "training" in chosen.only:
        for run in trainings:
            training(run, rng)


def alarms(made: list[Population], rng: np.random.Generator, runs: int, measurements: int) -> None:
    """How many runs of so many measurements without any change raise any alarm, looking after every picture."""
    level = shared_level(LEVEL, MEASUREMENTS * ABILITIES_ASKED)
    still = [population.with_mean(0.0) for population in made]
    wrong = peeked = once = missed = 0
    for _ in range(runs):
        uniforms = rng.uniform(1e-12, 1 - 1e-12, max(len(population.shares) for population in made))
        alarm = peek = single = False
        for _ in range(measurements):
            k = int(rng.integers(len(made)))
            population = made[k]
            order = draw_order(population.shares, uniforms[: len(population.shares)])
            values, shares = still[k][order] * rng.choice([-1.0, 1.0]), population.shares[order]
            alarm |= decide_change(values, shares, DELTA, level=level).verdict != "no change"
            n = np.arange(50, len(values) // 2)
            means = np.cumsum(values)[n - 1] / n
            errors = np.sqrt((np.cumsum(values**2)[n - 1] / n - means**2) / n * (1 - n / len(values)))
            outside = np.abs(means) > float(ndtri(0.975)) * errors
            peek |= bool(outside.any())
            single |= bool(outside[-1])
        wrong, peeked, once = wrong + alarm, peeked + peek, once + single
        # The ends only close in, so that the last interval before all are drawn covers only if all before it do.
        last = anytime_interval(values[:-1], shares[:-1], level=LEVEL)
        missed += not last.low <= 0.0 <= last.high
    print(f"\n{runs} runs of {measurements} measurements without a change, a look after every picture")
    print("| | runs with any false alarm |\n| --- | ---: |")
    print(f"| `until=` | {wrong / runs:.1%} |")
    print(f"| ordinary 95 % interval, looked at after every picture from the 50th | {peeked / runs:.1%} |")
    print(f"| ordinary 95 % interval, looked at once a measurement | {once / runs:.1%} |")
    print(f"\nThe 95 % confidence sequence covered at every look in {1 - missed / runs:.1%} of {runs} runs.")


def power(made: list[Population], rng: np.random.Generator, runs: int, change: float = 0.03) -> None:
    """How many pictures it takes to find a change, against a number fixed beforehand."""
    level = shared_level(LEVEL, MEASUREMENTS * ABILITIES_ASKED)
    powers = (0.8, 0.95, 0.999)
    shifted = [population.with_mean(change) for population in made]
    taken, right, whole = [], 0, []
    fixed: dict[float, list[float]] = {aim: [] for aim in powers}
    for _ in range(runs):
        k = int(rng.integers(len(made)))
        population = made[k]
        order = population.order(rng)
        decided = decide_change(shifted[k][order], population.shares[order], DELTA, level=level)
        right += decided.verdict == "rose"
        taken.append(decided.draws)
        whole.append(len(order))
        for aim in powers:
            fixed[aim].append(fixed_test(population.spread, change, len(order), 1 - level, aim))
    print(f"\nA change of {change}: found in {right / runs:.1%} of {runs} measurements")
    print("| compared with | pictures, median | share that `until=` takes, median (quartiles) |\n| --- | ---: | ---: |")
    print(f"| `until=` | {np.median(taken):.0f} | |")
    for aim in powers:
        print(f"| fixed test of power {aim:g} | {np.median(fixed[aim]):.0f} | {_ratios(taken, fixed[aim])} |")
    print(f"| all pictures (the power of `until=`: 1) | {np.median(whole):.0f} | {_ratios(taken, whole)} |")


def fixed_test(spread: float, change: float, size: int, alpha: float, power: float) -> float:
    """Pictures of a two-sided z test without replacement: n0 = ((z_{1-alpha/2} + z_power) sd / change)^2, then
    n0 / (1 + n0 / size)."""
    n = (float(ndtri(1 - alpha / 2) + ndtri(power)) * spread / change) ** 2
    return n / (1 + n / size)


def _ratios(taken: list[int], fixed: list[float] | list[int]) -> str:
    low, middle, high = np.quantile(np.array(taken) / np.array(fixed), [0.25, 0.5, 0.75])
    return f"{middle:.0%} ({low:.0%} to {high:.0%})"


Answers = dict[Place, float]
"""The probability of the right answer by question."""


def training(run: TrainingRun, rng: np.random.Generator, length: int = 20) -> None:
    """What the measurements of a training cost: of its own checkpoints, and of made ones that rest or rise.

    The made ones take the differences of two checkpoints of the training, drawn anew for each measurement, and shift
    them for each ability to the change that is to be there.
    """
    documents = {source: _documents(run.results[0].sources[source]) for source in run.sources}
    places = [(source, k) for source, of in documents.items() for k in range(len(of))]
    own = [
        {(source, k): p for source in documents for k, p in enumerate(per_question(result.sources[source], "sds"))}
        for result in run.results
    ]
    print(f"\n{run.name}: {len(places)} questions a measurement if all are asked")
    print("| training | asked | rose, fell, no change | undecided | not true |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for delta in (0.02, 0.05):
        _report(
            f"its own {len(own)} checkpoints, until={delta:g}",
            Until(delta, documents, places),
            documents,
            list(pairwise(own)),
        )
    for words, change in (("rests", 0.0), ("rises by 0.03 each time", 0.03)):
        pairs = [_shifted(*own[k : k + 2], run, change) for k in rng.integers(len(own) - 1, size=length)]
        _report(f"made, {words}, until={DELTA:g}", Until(DELTA, documents, places), documents, pairs)


def _documents(samples: SourceSamples) -> Documents:
    rows = zip(samples.q_id.tolist(), samples.image_id.tolist(), samples.category.tolist(), strict=True)
    headers = [{"q_id": q_id, "image_id": image_id, "category": category} for q_id, image_id, category in rows]
    return Documents({"source": samples.source, "ability": samples.ability}, headers)


def _shifted(before: Answers, after: Answers, run: TrainingRun, change: float) -> tuple[Answers, Answers]:
    """Answers around 0.5 whose differences are those of two checkpoints, with a mean of `change` for each ability."""
    made: tuple[Answers, Answers] = {}, {}
    for ability in ABILITIES:
        sources = [s for s in run.sources if run.results[0].sources[s].ability == ability]
        of = {s: np.array([after[p] - before[p] for p in before if p[0] == s]) for s in sources}
        for _ in range(50):
            mean = np.mean([values.mean() for values in of.values()])
            of = {s: np.clip(values - mean + change, -1, 1) for s, values in of.items()}
        for s, values in of.items():
            made[0].update({(s, k): float(0.5 - d / 2) for k, d in enumerate(values)})
            made[1].update({(s, k): float(0.5 + d / 2) for k, d in enumerate(values)})
    return made


def _report(name: str, until: Until, documents: Mapping[str, Documents], pairs: list[tuple[Answers, Answers]]) -> None:
    """Measures one checkpoint after the other, each compared on what was asked of the one before."""
    q_ids = {(source, k): header["q_id"] for source, of in documents.items() for k, header in enumerate(of)}
    abilities = {source: of.provenance["data"]["ability"] for source, of in documents.items()}
    asked = sorted(pairs[0][0])
    verdicts: Counter[str] = Counter()
    wrong, share = 0, []
    for before, after in pairs:
        found: dict[str, dict[str, float]] = {}
        for source, k in asked:
            found.setdefault(source, {})[q_ids[source, k]] = before[source, k]
        measurement, asked = until.measurement(Earlier("before", found)), []
        while places := measurement.next():
            asked += places
            measurement.tell({place: after[place] for place in places})
        for change in measurement.record().changes:
            sources = {s for s, _ in before if abilities[s] == change.ability}
            truth = np.mean([np.mean([after[p] - before[p] for p in before if p[0] == s]) for s in sources])
            verdicts[change.verdict] += 1
            wrong += {"rose": truth <= 0, "fell": truth >= 0, "no change": abs(truth) > until.delta}.get(
                change.verdict, False
            )
        share.append(len(asked) / len(before))
    told = ", ".join(str(verdicts[word]) for word in ("rose", "fell", "no change"))
    print(f"| {name} | {np.mean(share):.0%} | {told} | {verdicts['undecided']} | {wrong} |", flush=True)


if __name__ == "__main__":
    main()
