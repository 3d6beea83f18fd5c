"""Asking only as much as it takes: until it is decided whether an ability rose, fell or stayed since last time.

    order      the pictures of an ability's sources, drawn at random, each source as much as it counts; in every
               measurement the same, so that what is asked of one checkpoint was asked of the one before
    decision   after each part of the questions, by `radar_metrics.anytime`, which may be asked as often as one likes,
               with the sources as strata: ones that change by different amounts do not hide what the ability does
    end        an ability that is decided gets half as many questions more, and at least a quarter of all, for the next
               measurement can be compared on no others; where those of the last one run out undecided, all are asked

The first measurement has nothing to be compared with and asks everything.

A verdict speaks of the questions of the sources (it is what asking all of them would show), and is valid as long as the
training does not depend on which of them were drawn. The chance of any wrong verdict, of any kind, on any ability, in
100 measurements is at most 5 %: each holds with a chance of 1 - 0.05 / (100 * abilities). Nothing needs to be known of
how many there were before, so that a training that goes on decides as if it had not stopped.
"""

from __future__ import annotations

import hashlib
import logging
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from numbers import Real
from pathlib import Path

import numpy as np

from radar_metrics.anytime import (
    MEASUREMENTS,
    Decision,
    Strata,
    anytime_interval,
    decide_change,
    draw_order,
    shared_level,
)
from radar_metrics.ragged import FloatArray
from radar_metrics.uncertainty import Interval
from radar_tasks.errors import RadarError, ResultsError
from radar_tasks.harness.documents import Documents, Place
from radar_tasks.questions import ABILITIES, Ability
from radar_tasks.results import CheckpointResult, SourceSamples, load_run, step_of
from radar_tasks.results.metrics import per_question
from radar_tasks.results.until_record import AbilityChange, Band, UntilRecord
from radar_tasks.run_arguments import limit_of

logger = logging.getLogger("radar")

FIRST = 64
"""Questions of an ability before the first look; from then on a quarter more before each."""

MORE = 0.25
"""By how much more is asked before the next look."""

RESERVE, LEAST = 0.5, 0.25
"""By how much more is asked once it is decided, and the least part of all questions.

The next measurement can be compared on no others, and may have less to find. (`benchmarks/anytime.py --only training`
with the study's base-1: 1 of 22 verdicts is `undecided`, at 45 % of the questions.)"""

LEVEL = 0.95


@dataclass(frozen=True)
class Picture:
    """The questions of a source on one picture, which are drawn together.

    Attributes:
        source: their source.
        name: unique among all pictures.
        places: of the questions.
        share: of the ability (or of the source, where so said): the weights of its questions in the headline.
    """

    source: str
    name: str
    places: tuple[Place, ...]
    share: float


@dataclass(frozen=True)
class Earlier:
    """What changes are told from: the name of a measurement, and its probabilities of the right answer by source and
    q_id."""

    name: str
    probabilities: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, name: str, sources: Mapping[str, SourceSamples]) -> Earlier:
        """From the samples of a measurement."""
        found: dict[str, dict[str, float]] = {}
        for source, samples in sources.items():
            scores = per_question(samples, "sds")
            if scores is not None:
                found[source] = dict(zip(samples.q_id.tolist(), scores.tolist(), strict=True))
        return cls(name, found)


def last_measurement(
    output: Path, step: int, limit: int | None, is_alike: Callable[[CheckpointResult], bool]
) -> Earlier | None:
    """The measurement of the last step before this one in a folder of results, None where none can be compared with.

    One that cannot be read or was made otherwise is told, and the next measurement asks everything.

    Args:
        output: holds a results folder a step, such as `step-000500`.
        step: the step to be measured now.
        limit: questions a source that may be asked now, None for all.
        is_alike: whether a result was asked the same sources in the same way.
    """
    folders = [folder for folder in output.glob("*") if folder.is_dir() and not folder.name.startswith(".")]
    steps = {folder: number for folder in folders if (number := step_of(folder.name)) is not None}
    before = [folder for folder, number in steps.items() if number < step]
    if not before:
        return None
    folder = max(before, key=lambda folder: steps[folder])
    try:
        result = load_run(folder)
    except ResultsError as error:
        logger.warning("step %d is compared with no earlier one: %s", step, error)
        return None
    if (before_limit := limit_of(result.config)) != limit:  # what was drawn of others is no random part of these
        logger.warning(
            "step %d is compared with no earlier one: %s was asked of %s questions a source, not of %s",
            step, folder, before_limit or "all", limit or "all",
        )  # fmt: skip
        return None
    if not is_alike(result):
        logger.warning("step %d is compared with no earlier one: %s was asked otherwise", step, folder)
        return None
    return Earlier.of(folder.name, result.sources)


def check_until(until: float) -> float:
    """The delta; RadarError where it is none."""
    if isinstance(until, bool) or not isinstance(until, Real) or not 0 < until < 1:
        raise RadarError(
            f"until={until!r}: give the smallest change of SDS that counts, above 0 and below 1, such as 0.02."
        )
    return float(until)


class Until:
    """The order in which the questions of a training are asked, and how much of a change counts.

    Args:
        until: no change is one of at most so much SDS.
        documents: by source.
        asked: the questions that may be asked.
        by_category: the sources whose headline is the mean over categories.

    Raises:
        RadarError: `until` is not between 0 and 1.
    """

    def __init__(
        self,
        until: float,
        documents: Mapping[str, Documents],
        asked: Sequence[Place],
        by_category: Sequence[str] = (),
    ) -> None:
        self.delta = check_until(until)
        self._documents = documents
        sources = {ability: [s for s in documents if _ability(documents[s]) == ability] for ability in ABILITIES}
        pictures = _pictures(documents, asked, by_category)
        self._order = {
            ability: _drawn([picture for source in names for picture in pictures[source]], len(names))
            for ability, names in sources.items()
            if names
        }

    @property
    def level(self) -> float:
        """At which each verdict, and each end of the interval of an ability's change, holds."""
        return shared_level(LEVEL, MEASUREMENTS * len(self._order))

    @property
    def saves_nothing(self) -> str:
        """Of which abilities all questions are asked wherever they rest, since there are too few; "" where of none."""
        said = []
        for ability, pictures in self._order.items():
            # No change is told soonest where every difference is 0.
            least = decide_change(np.zeros(len(pictures)), _shares(pictures), self.delta, level=self.level).draws
            if (1 + RESERVE) * least >= len(pictures):
                said.append(f"{_questions(pictures[:least])} of {_questions(pictures)} ({ability})")
        if not said:
            return ""
        return (
            f"until={self.delta:g} asks every question where nothing changed: at least {' and '.join(said)} are needed "
            "to tell that. Ask more questions of each source, or give a larger until."
        )

    def measurement(self, earlier: Earlier | None) -> UntilMeasurement:
        """A new one, to be compared with an earlier one."""
        return UntilMeasurement(self, earlier, self._documents, self._order)


class UntilMeasurement:
    """One measurement: says what to ask next, is told the answers, and ends when all is decided.

    Every rank has one and is told the same, so that all decide alike.
    """

    def __init__(
        self,
        until: Until,
        earlier: Earlier | None,
        documents: Mapping[str, Documents],
        order: Mapping[Ability, Sequence[Picture]],
    ) -> None:
        self._until = until
        self._documents = documents
        self._earlier = earlier
        self._now: dict[Place, float] = {}
        self._abilities = {ability: _Asking(pictures, self._compared(pictures)) for ability, pictures in order.items()}

    def next(self) -> list[Place]:
        """The questions to ask now, of all abilities that are not done; none at the end."""
        return [place for asking in self._abilities.values() for place in asking.next()]

    def tell(self, probabilities: Mapping[Place, float]) -> None:
        """What came out: the probability of the right answer of each question that could be asked."""
        self._now |= probabilities
        for asking in self._abilities.values():
            pictures = asking.in_both
            if asking.decision is None and pictures:
                decision = decide_change(
                    self._differences(pictures),
                    _shares(pictures),
                    self._until.delta,
                    strata=asking.strata(pictures),
                    level=self._until.level,
                )
                asking.decision = decision if decision.verdict != "undecided" else None

    def record(self) -> UntilRecord:
        """What was decided, and the intervals of everything, for the results."""
        abilities, sources = self._abilities, self._asked_by_source()
        compared = self._asked_by_source(compared=True)
        return UntilRecord(
            delta=self._until.delta,
            changes=[change for ability in abilities if (change := self._change(ability)) is not None],
            sds={
                name: Band.of(sds)
                for name, sds in [
                    *((ability, self._sds(asking.so_far, asking)) for ability, asking in abilities.items()),
                    *((source, self._sds(drawn)) for source, drawn in sources.items()),
                ]
                if sds is not None
            },
            source_changes={
                source: Band.of(anytime_interval(self._differences(drawn), _shares(drawn), level=LEVEL))
                for source, drawn in compared.items()
                if drawn
            },
        )

    def _change(self, ability: Ability) -> AbilityChange | None:
        asking = self._abilities[ability]
        compared = asking.in_both
        if self._earlier is None or not compared:
            return None
        # Each end at the verdicts' level, so that `no change` lies within +-delta: both together err twice as often.
        interval = anytime_interval(
            self._differences(compared),
            _shares(compared),
            strata=asking.strata(compared),
            level=1 - 2 * (1 - self._until.level),
        )
        decision = asking.decision or Decision("undecided", len(compared))
        return AbilityChange(
            ability=ability,
            verdict=decision.verdict,
            since=self._earlier.name,
            change=Band.of(interval),
            decided_after=_questions(compared[: decision.draws]),
            compared=_questions(compared),
            asked=_questions(asking.so_far),
            questions=_questions(asking.pictures),
        )

    def _sds(self, drawn: Sequence[Picture], of: _Asking | None = None) -> Interval | None:
        """Of the pictures that could be asked; the others are as if they had not been drawn yet. None without any."""
        means = {k: mean for k, picture in enumerate(drawn) if (mean := self._mean(picture)) is not None}
        if not means:
            return None
        answered = [drawn[k] for k in means]
        strata = None if of is None else of.strata(answered)
        return anytime_interval(list(means.values()), _shares(answered), strata=strata, low=0.0, high=1.0, level=LEVEL)

    def _asked_by_source(self, *, compared: bool = False) -> dict[str, list[Picture]]:
        """The pictures asked by source, with their shares of it; those that can be compared, where so said."""
        found: dict[str, list[Picture]] = {}
        for asking in self._abilities.values():
            asked = asking.in_both if compared else asking.so_far
            for source, whole in asking.sources.items():
                found[source] = [
                    replace(picture, share=picture.share / whole) for picture in asked if picture.source == source
                ]
        return found

    def _compared(self, pictures: Sequence[Picture]) -> int:
        """So many of the pictures were asked in the earlier measurement: up to the last that has an answer there."""
        known = [k for k, picture in enumerate(pictures) if any(self._before(p) is not None for p in picture.places)]
        return known[-1] + 1 if known else 0

    def _before(self, place: Place) -> float | None:
        source, k = place
        if self._earlier is None:
            return None
        return self._earlier.probabilities.get(source, {}).get(self._documents[source][k]["q_id"])

    def _differences(self, pictures: Sequence[Picture]) -> FloatArray:
        """(n,) mean over the questions of each picture of now minus before; a question that one of the two checkpoints
        could not be asked counts as unchanged."""
        return np.array([np.mean([self._difference(place) for place in picture.places]) for picture in pictures])

    def _difference(self, place: Place) -> float:
        now, before = self._now.get(place), self._before(place)
        return 0.0 if now is None or before is None else now - before

    def _mean(self, picture: Picture) -> float | None:
        known = [self._now[place] for place in picture.places if place in self._now]
        return float(np.mean(known)) if known else None


class _Asking:
    """How far an ability has been asked.

    Attributes:
        pictures: in the order of their draws.
        compared: of how many the earlier measurement has answers.
        asked: how many were asked so far.
        decision: what was decided, None as long as nothing is.
        sources: each with its share of the ability.
    """

    def __init__(self, pictures: Sequence[Picture], compared: int) -> None:
        self.pictures, self.compared = pictures, compared
        self.asked = 0
        self.sources: dict[str, float] = defaultdict(float)
        for picture in pictures:
            self.sources[picture.source] += picture.share
        self.decision: Decision | None = None
        self._ends = list(accumulate(len(picture.places) for picture in pictures))
        self._last = False

    @property
    def so_far(self) -> Sequence[Picture]:
        """The pictures asked."""
        return self.pictures[: self.asked]

    @property
    def in_both(self) -> Sequence[Picture]:
        """Those of them that were asked in the earlier measurement, too."""
        return self.pictures[: min(self.asked, self.compared)]

    def strata(self, pictures: Sequence[Picture]) -> Strata:
        """The sources of some of the pictures."""
        numbers = {source: number for number, source in enumerate(self.sources)}
        of = np.array([numbers[picture.source] for picture in pictures], dtype=np.int64)
        return Strata(of, np.array(list(self.sources.values())))

    def next(self) -> list[Place]:
        """The questions to ask now; none when the ability is done."""
        if self._last:
            return []
        stop, begun = self._stop(), self.asked
        self.asked = max(stop, begun)
        return [place for picture in self.pictures[begun:stop] for place in picture.places]

    def _stop(self) -> int:
        if self.decision is not None:
            self._last = True
            return self._holding(max((1 + RESERVE) * self._ends[self.decision.draws - 1], LEAST * self._ends[-1]))
        if self.asked < self.compared:
            so_far = self._ends[self.asked - 1] if self.asked else 0
            return min(self.compared, max(self._holding(max(FIRST, (1 + MORE) * so_far)), self._two_of_each()))
        self._last = True
        return len(self.pictures)

    def _holding(self, questions: float) -> int:
        """How many pictures hold so many questions."""
        return min(bisect_left(self._ends, questions) + 1, len(self.pictures))

    def _two_of_each(self) -> int:
        """How many pictures hold two of each source: a source has a mean and a spread however early it ends."""
        seen: dict[str, list[int]] = defaultdict(list)
        for k, picture in enumerate(self.pictures):
            seen[picture.source].append(k)
        return max(places[:2][-1] + 1 for places in seen.values())


def _pictures(
    documents: Mapping[str, Documents], asked: Sequence[Place], by_category: Sequence[str]
) -> dict[str, list[Picture]]:
    """The pictures of each source with their share of it: that of their questions, or of their category's."""
    found: dict[str, list[Picture]] = {}
    for source, of in documents.items():
        members: dict[str, dict[str, list[Place]]] = defaultdict(lambda: defaultdict(list))
        for place in asked:
            if place[0] == source:
                document = of[place[1]]
                members[document["category"] if source in by_category else ""][document["image_id"]].append(place)
        found[source] = [
            Picture(
                source=source,
                name=f"{source}/{category}/{image_id}",
                places=tuple(places),
                share=len(places) / sum(map(len, images.values())) / len(members),
            )
            for category, images in members.items()
            for image_id, places in images.items()
        ]
    return found


def _drawn(pictures: Sequence[Picture], sources: int) -> list[Picture]:
    """The pictures of an ability in the order of their draws, with their share of it."""
    shares = np.array([picture.share / sources for picture in pictures])
    order = draw_order(shares, [_uniform(picture) for picture in pictures])
    return [replace(pictures[k], share=float(shares[k])) for k in order]


def _uniform(picture: Picture) -> float:
    """A random number in (0, 1) that depends on the picture's name alone: the same on every rank and at every step."""
    digest = hashlib.sha256(f"drawn for until/{picture.name}".encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 0.5) / 2**48


def _ability(documents: Documents) -> Ability:
    ability: Ability = documents.provenance["data"]["ability"]
    return ability


def _shares(pictures: Sequence[Picture]) -> FloatArray:
    return np.array([picture.share for picture in pictures])


def _questions(pictures: Sequence[Picture]) -> int:
    return sum(len(picture.places) for picture in pictures)
