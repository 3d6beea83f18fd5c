"""Asking until it is decided (`until=`): false alarms, how soon a change is found, and what a long training costs.

    python benchmarks/anytime.py RESULTS... [--runs 1000] [--measurements 100] [--only alarms power choices training]

Everything is drawn from differences of p(right) that were measured: `RESULTS` are results of trainings (packed files or
folders), and each pair of checkpoints that follow each other gives a population for each ability. Its mean is shifted
to the change that is to be there (0, 0.03), so that the truth is known and spread, tails and pictures are real.
Each run draws one order of the pictures of each ability and keeps it for all its measurements, as a training does. All
verdicts are at the level that `until=` uses for two abilities.

The fixed test that is compared with is a paired z test on a number of questions chosen beforehand, with the true spread
within sources known to it, for a stratified sample without replacement of these questions, at a = 0.05 / (100 * 2): the
level at which as many measurements have as few false alarms. "Of equal power" depends on what `until=` may ask:

    all questions     it always ends in a verdict, which is wrong with a chance of a at most, so that its power is at
                      least 1 - a; how often it missed a change in the simulation is told, with a bound of 95 %
    nothing more      a fixed test that never misses asks all questions

Printed beside it is the least that any test could take, however it looks and whatever it knows: half of the changes
are found after n questions only if the best test of n questions (Neyman and Pearson's) has a power of a half,
n >= (z_{1 - a/2} sd / change)^2. And Wald's sequential test, which is told both the spread and the change.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import beta

from radar_metrics.anytime import Strata, anytime_interval, decide_change, draw_order, shared_level
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.follow.until import LEAST, LEVEL, MEASUREMENTS, RESERVE, Earlier, Until
from radar_tasks.harness.documents import Documents, Place
from radar_tasks.questions import ABILITIES, Ability
from radar_tasks.results import SourceSamples, TrainingRun, find_runs
from radar_tasks.results.metrics import per_question

ABILITIES_ASKED = len(ABILITIES)
DELTA = 0.02
LEVEL_OF_ONE = shared_level(LEVEL, MEASUREMENTS * ABILITIES_ASKED)


@dataclass(frozen=True)
class Population:
    """The differences of an ability between two checkpoints, a picture each, with the pictures' shares and sources."""

    ability: Ability
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
        inside = [
            self.shares[self.sources == s].sum() * self.differences[self.sources == s].var()
            for s in np.unique(self.sources)
        ]
        return math.sqrt(sum(inside))

    def strata(self, order: np.ndarray) -> Strata:
        """The sources of pictures drawn."""
        return Strata(self.sources[order], np.bincount(self.sources, weights=self.shares))


def populations(run: TrainingRun) -> list[Population]:
    """Of each ability and each two checkpoints that follow each other."""
    found = []
    for before, after in pairwise(run.results):
        for ability in ABILITIES:
            sources = [s for s in run.sources if after.sources[s].ability == ability]
            means, shares, numbers = [], [], []
            for number, source in enumerate(sources):
                new, old = after.sources[source], before.sources[source]
                of_question = per_question(new, "sds") - per_question(old, "sds")
                _, picture, sizes = np.unique(new.image_id, return_inverse=True, return_counts=True)
                means.append(np.bincount(picture, weights=of_question) / sizes)
                shares.append(sizes / sizes.sum() / len(sources))
                numbers += [number] * len(sizes)
            if sources:
                found.append(Population(ability, np.concatenate(means), np.concatenate(shares), np.array(numbers)))
    return found


def main() -> None:
    """Simulate and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--measurements", type=int, default=MEASUREMENTS)
    parser.add_argument(
        "--only", nargs="*", default=["alarms", "power", "choices", "training"], help="what to simulate"
    )
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
    if "choices" in chosen.only:
        choices(made, rng, chosen.runs)
    if "training" in chosen.only:
        for run in trainings:
            training(run, rng)


def alarms(made: list[Population], rng: np.random.Generator, runs: int, measurements: int) -> None:
    """How many runs of so many measurements without any change raise any alarm, looking after every picture."""
    still = [population.with_mean(0.0) for population in made]
    wrong = peeked = once = missed = 0
    for _ in range(runs):
        uniforms = {
            ability: rng.uniform(1e-12, 1 - 1e-12, max(len(population.shares) for population in made))
            for ability in ABILITIES
        }
        alarm = peek = single = False
        for k in rng.integers(len(made), size=measurements * ABILITIES_ASKED):
            population = made[k]
            order = draw_order(population.shares, uniforms[population.ability][: len(population.shares)])
            values, shares = still[k][order] * rng.choice([-1.0, 1.0]), population.shares[order]
            strata = population.strata(order)
            alarm |= decide_change(values, shares, DELTA, strata=strata, level=LEVEL_OF_ONE).verdict != "no change"
            n = np.arange(50, len(values) // 2)
            means = np.cumsum(values)[n - 1] / n
            errors = np.sqrt((np.cumsum(values**2)[n - 1] / n - means**2) / n * (1 - n / len(values)))
            outside = np.abs(means) > float(ndtri(0.975)) * errors
            peek |= bool(outside.any())
            single |= bool(outside[-1])
        wrong, peeked, once = wrong + alarm, peeked + peek, once + single
        # The ends only close in, so that the last interval before all are drawn covers only if all before it do.
        last = anytime_interval(values[:-1], shares[:-1], strata=population.strata(order[:-1]), level=LEVEL)
        missed += not last.low <= 0.0 <= last.high
    print(f"\n{runs} runs of {measurements} measurements of each ability without a change, a look after every picture")
    print("| | runs with any false alarm |\n| --- | ---: |")
    print(f"| `until=` | {wrong} of {runs} |")
    print(f"| ordinary 95 % interval, looked at after every picture from the 50th | {peeked} of {runs} |")
    print(f"| ordinary 95 % interval, looked at once a measurement | {once} of {runs} |")
    print(f"\nThe 95 % confidence sequence covered at every look in {1 - missed / runs:.1%} of {runs} runs.")


def power(made: list[Population], rng: np.random.Generator, runs: int, change: float = 0.03) -> None:
    """How many pictures it takes to find a change, against a number fixed beforehand and against what is possible."""
    shifted = [population.with_mean(change) for population in made]
    drawn = rng.integers(len(made), size=runs)
    taken, found = [], 0
    for k in drawn:
        population = made[k]
        order = draw_order(population.shares, rng.uniform(1e-12, 1 - 1e-12, len(population.shares)))
        decided = decide_change(
            shifted[k][order], population.shares[order], DELTA, strata=population.strata(order), level=LEVEL_OF_ONE
        )
        found += decided.verdict == "rose"
        taken.append(decided.draws)
    alpha = 1 - LEVEL_OF_ONE
    seen = float(beta.ppf(0.05, found, runs - found + 1))
    powers = {
        "of power 0.8": 0.8,
        "of power 0.95": 0.95,
        f"of power {seen:.4f}, which at least `until=` has ({found} of {runs} found; 95 %)": seen,
        f"of power {1 - alpha:.5f}, which it has if verdicts are as right as is promised": 1 - alpha,
    }

    def fixed(n: float) -> np.ndarray:
        """(runs,) so many pictures of an endless population in which a change is one standard deviation."""
        return np.array([without_replacement(n, made[k].spread / change, len(made[k].shares)) for k in drawn])

    least, wald = fixed(fixed_test(alpha, 0.5)), fixed(sequential_test(alpha))
    print(f"\nA change of {change}: found in {found} of {runs} measurements, after a median of {np.median(taken):.0f}")
    print(
        "| a fixed test | pictures | of these `until=` takes, median (quartiles) | Wald's test | any test, at least |"
    )
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, aim in powers.items():
        _compare(name, fixed(fixed_test(alpha, aim)), np.array(taken), wald, least)
    _compare("of power 1: all pictures", np.array([len(made[k].shares) for k in drawn]), np.array(taken), wald, least)
    print("\nThe same of an endless number of pictures, in which a change is one standard deviation")
    print("| a fixed test of power | Wald's test | any test, at least |\n| --- | ---: | ---: |")
    for aim in powers.values():
        n = fixed_test(alpha, aim)
        print(f"| {aim:.5g} | {sequential_test(alpha) / n:.0%} | {fixed_test(alpha, 0.5) / n:.0%} |")


def _compare(name: str, pictures: np.ndarray, taken: np.ndarray, wald: np.ndarray, least: np.ndarray) -> None:
    low, middle, high = np.quantile(taken / pictures, [0.25, 0.5, 0.75])
    others = " | ".join(f"{np.median(one / pictures):.0%}" for one in (wald, least))
    print(f"| {name} | {np.median(pictures):.0f} | {middle:.0%} ({low:.0%} to {high:.0%}) | {others} |")


def fixed_test(alpha: float, power: float) -> float:
    """Draws of a two-sided z test for a change of one standard deviation: (z_{1-alpha/2} + z_power)^2."""
    return float((ndtri(1 - alpha / 2) + ndtri(power)) ** 2)


def sequential_test(alpha: float) -> float:
    """The median number of draws of Wald's test for the same, with an error of alpha / 2 in each direction.

    The log of the likelihood ratio is a Brownian motion with a drift of 1/2 and a variance of 1 a draw that stops at
    b = log(2 / alpha). It has done so by t with a chance of Phi((t/2 - b) / sqrt t) + e^b Phi(-(t/2 + b) / sqrt t).
    """
    b = math.log(2 / alpha)

    def short_of_half(t: float) -> float:
        root = math.sqrt(t)
        return float(ndtr((t / 2 - b) / root) + math.exp(b + log_ndtr(-(t / 2 + b) / root))) - 0.5

    return float(brentq(short_of_half, 1.0, 4 * b))


def without_replacement(draws: float, spread: float, size: int) -> float:
    """As many draws without replacement of a population of this size say as much as n of an endless one of this spread:
    n0 = n spread^2, then n0 / (1 + n0 / size)."""
    n = draws * spread**2
    return n / (1 + n / size)


def choices(made: list[Population], rng: np.random.Generator, runs: int) -> None:
    """What few, some and many pictures of an ability can tell: made of pictures drawn from the populations."""
    spread = float(np.median([population.spread for population in made]))
    print("\nPictures an ability that may be asked, and median parts of them that are asked")
    print("| pictures | +- of a change, other questions of the kind | until= | after a change of 1.5 times it | none |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for size, delta in ((200, 0.02), (1000, 0.02), (1000, 0.05), (10_000, 0.02), (10_000, 0.01), (100_000, 0.005)):
        parts: dict[float, list[float]] = {1.5 * delta: [], 0.0: []}
        for k in rng.integers(len(made), size=max(runs * 200 // size, 10)):
            rows = rng.choice(len(made[k].shares), size=size, p=made[k].shares)
            drawn = replace(
                made[k],
                differences=made[k].differences[rows],
                shares=np.full(size, 1 / size),
                sources=made[k].sources[rows],
            )
            for change, found in parts.items():
                values, strata = drawn.with_mean(change), drawn.strata(np.arange(size))
                draws = decide_change(values, drawn.shares, delta, strata=strata, level=LEVEL_OF_ONE).draws
                found.append(min(max((1 + RESERVE) * draws / size, LEAST), 1.0))
        told = " | ".join(f"{np.median(found):.0%}" for found in parts.values())
        print(f"| {size} | {1.96 * spread / math.sqrt(size):.3f} | {delta:g} | {told} |", flush=True)


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
    print(f"\n{run.name}: {len(places)} questions per measurement if all are asked")
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
