"""A guardian of a training: which ability fell beyond noise, since when, and what of the measurements says why.

Each measurement is compared with the earlier one at which an ability, or a source, stood highest, question by question.
An alarm is a fall by more than `LEAST` (a source: `LEAST_OF_SOURCE`), by a one-sided z-test of paired differences with
errors clustered by picture. At the k-th look the level is LEVEL * 6 / (pi k)^2 / (k * names): the sum over all looks,
the k earlier measurements and all names stays below LEVEL however long a training is, so that noise of questions alone
raises any alarm in at most one training in twenty. A model's own wobble between measurements is no such noise: the two
tolerances are there for it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr

from radar_metrics.options import FloatArray
from radar_metrics.ragged import Ragged
from radar_tasks.analysis.paired_questions import paired
from radar_tasks.errors import ResultsError
from radar_tasks.questions import ABILITIES
from radar_tasks.results import CheckpointResult, SourceSamples
from radar_tasks.results.metrics import per_question, question_weights, value
from radar_tasks.results.standard_errors import error_of_mean, standard_error

Cause = Literal["numerics", "processor", "text", "source", "prior", "sight", "unknown"]

LEVEL = 0.05
LEAST, LEAST_OF_SOURCE = 0.08, 0.2
TEXT_LOST = 0.5
"""Nats a token by which the options' texts, right and wrong together, became less likely where that ability fell."""
UNSEEN = 1.5
"""A digit of four offered ones in place of ten costs 0.9 nats where none is seen any more."""
ALONE = 0.7
"""Part of an ability's fall that is one source's for the cause to be that source."""
SIGHTS_PART = 0.5
"""Part of a fall that what the picture adds must have lost for sight to be the cause."""
NEAR_CHANCE = 0.15
"""Chance-centred SDS below which a source that fell is as if it were not looked at."""
PRIOR_MOVED = 1 / 3
"""Part of the probability without the picture that went to other options for the prior to have drifted."""

_OF_NUMERICS = ("dtype_loaded", "dtype")
_OF_PROCESSOR = ("images", "prompt_format", "min_pixels", "max_pixels", "max_tiles")
_OF_TOKENIZER = ("vocabulary",)


@dataclass(frozen=True)
class Measurement:
    """One measurement of a training.

    Attributes:
        step: the training step.
        sources: samples by source.
        scoring: how it was scored, as results say.
    """

    step: int
    sources: Mapping[str, SourceSamples]
    scoring: Mapping[str, Any]

    @classmethod
    def of(cls, result: CheckpointResult) -> Measurement:
        """From a result, whose name holds its step."""
        return cls(result.step or 0, result.sources, result.scoring)


@dataclass(frozen=True)
class Alarm:
    """Something that fell.

    Attributes:
        step: where it was seen.
        since: the last step at which it still stood; the fault lies behind it.
        name: the ability or source; "measurement" where nothing could be measured.
        fell_by: SDS lost since it stood highest; None where nothing could be measured.
        p_value: of the test against a fall no larger than what is tolerated; None likewise.
        cause: the likeliest of what was measured.
        why: a sentence with numbers.
    """

    step: int
    since: int | None
    name: str
    fell_by: float | None
    p_value: float | None
    cause: Cause
    why: str


@dataclass(frozen=True)
class Dip:
    """A fall beyond noise that raised no alarm, since not all of it that is tolerated is beyond noise.

    Attributes:
        name: the ability or source.
        before, step: where it stood highest, and where it had fallen.
        fell_by, error: SDS lost, and its standard error.
        part: `fell_by` in units of the fall that is tolerated.
    """

    name: str
    before: int
    step: int
    fell_by: float
    error: float
    part: float


class Guardian:
    """Looks at the measurements of one training in order.

    An ability or source raises an alarm once, and again only after it has recovered; a source does not where its
    ability has fallen, too.

    Attributes:
        alarms: all that were raised.
        nearest: the fall that came nearest to an alarm without one, by what is tolerated; None where nothing fell so.
    """

    def __init__(self) -> None:
        self._seen: list[Measurement] = []
        self._fallen: set[str] = set()
        self.alarms: list[Alarm] = []
        self.nearest: Dip | None = None

    @classmethod
    def of(cls, results: Iterable[CheckpointResult]) -> Guardian:
        """One that has looked at the results of one training, by step."""
        guardian = cls()
        for result in sorted(results, key=lambda result: result.step or 0):
            guardian.observe(Measurement.of(result))
        return guardian

    def observe(self, now: Measurement) -> list[Alarm]:
        """The alarms that this measurement raises, abilities first."""
        looks = len(self._seen)
        alarms: list[Alarm] = []
        names = _names(now)
        if looks and names:
            level = LEVEL * 6.0 / (math.pi * looks) ** 2 / (looks * len(names))
            earlier = [_Earlier.of(before, now) for before in self._seen]
            for name, members in names.items():
                falls = _falls(earlier, members, LEAST if name in ABILITIES else LEAST_OF_SOURCE)
                # Since the measurement at which it stood highest.
                fall = next((one for one in sorted(falls, key=lambda one: one.change) if one.error), None)
                if fall is None:
                    continue
                if fall.p_value >= level:
                    if fall.change > -fall.least:
                        self._fallen.discard(name)
                    if name not in self._fallen and fall.p_against(0.0) < level:
                        self._note(name, fall, now)
                    continue
                told = name in self._fallen or now.sources[members[0]].ability in self._fallen
                self._fallen.add(name)
                if not told:
                    alarms.append(_alarm(name, members, fall, falls, now))
        self._seen.append(now)
        self.alarms += alarms
        return alarms

    def not_measured(self, step: int, reason: str) -> Alarm:
        """The alarm of a measurement whose scores are not finite."""
        since = self._seen[-1].step if self._seen else None
        self.alarms.append(Alarm(step, since, "measurement", None, None, "numerics", reason))
        return self.alarms[-1]

    def _note(self, name: str, fall: _Fall, now: Measurement) -> None:
        part = -fall.change / fall.least
        if self.nearest is None or part > self.nearest.part:
            self.nearest = Dip(name, fall.before.step, now.step, -fall.change, fall.error or math.nan, part)


_Pairs = Mapping[str, tuple[SourceSamples, SourceSamples]]


@dataclass(frozen=True, eq=False)
class _Change:
    """What became of a source: differences (N,) of a metric on the questions `asked` that two measurements hold."""

    asked: SourceSamples
    differences: FloatArray

    @cached_property
    def mean(self) -> float:
        return float(self.differences @ question_weights(self.asked))

    @cached_property
    def error(self) -> float | None:
        return standard_error(self.asked, self.differences)


@dataclass(frozen=True, eq=False)
class _Earlier:
    """An earlier measurement, and how SDS of each source has changed since, where that is known."""

    measurement: Measurement
    changes: Mapping[str, _Change]

    @classmethod
    def of(cls, before: Measurement, now: Measurement) -> _Earlier:
        return cls(before, _changes(_pairs(before, now, now.sources), "sds"))


@dataclass(frozen=True, eq=False)
class _Fall:
    """The change of an ability or source since an earlier measurement; the error is None or 0 where it is not known."""

    before: Measurement
    parts: Sequence[_Change]
    least: float

    @cached_property
    def change(self) -> float:
        return float(np.mean([part.mean for part in self.parts]))

    @cached_property
    def error(self) -> float | None:
        return error_of_mean([part.error for part in self.parts])

    @property
    def p_value(self) -> float:
        return self.p_against(self.least)

    def p_against(self, tolerated: float) -> float:
        """Of the test against a fall no larger than this; NaN where the error is not known."""
        return float(ndtr((self.change + tolerated) / (self.error or math.nan)))


def _falls(earlier: Iterable[_Earlier], members: Sequence[str], least: float) -> list[_Fall]:
    """Since each earlier measurement that has questions of all members in common with this one."""
    return [
        _Fall(one.measurement, [one.changes[name] for name in members], least)
        for one in earlier
        if all(name in one.changes for name in members)
    ]


def _alarm(name: str, members: Sequence[str], fall: _Fall, falls: Sequence[_Fall], now: Measurement) -> Alarm:
    standing = (since.before for since in reversed(falls) if since.change <= fall.change / 2 and since.error)
    last = next(standing, fall.before)
    cause, words = cause_of(last, now, members)
    return Alarm(
        now.step,
        last.step,
        name,
        round(-fall.change, 4),
        float(f"{fall.p_value:.2g}"),
        cause,
        f"SDS of {name} fell by {-fall.change:.3f} (standard error {fall.error:.3f}) since step {fall.before.step} "
        f"and still stood at step {last.step}. {words}",
    )


def _names(now: Measurement) -> dict[str, list[str]]:
    """Abilities with their sources, then single sources."""
    of_abilities = {
        ability: [name for name, samples in now.sources.items() if samples.ability == ability] for ability in ABILITIES
    }
    return {name: members for name, members in of_abilities.items() if members} | {name: [name] for name in now.sources}


def _pairs(before: Measurement, now: Measurement, sources: Iterable[str]) -> _Pairs:
    """By source the questions that both measurements hold, where there are any."""
    found = {}
    for source in sources:
        if source in before.sources and source in now.sources:
            with contextlib.suppress(ResultsError):  # no question in common
                found[source] = paired(before.sources[source], now.sources[source])
    return found


def _changes(pairs: _Pairs, metric: str) -> dict[str, _Change]:
    """By source the change of a metric, where it is known."""
    found = {}
    for source, pair in pairs.items():
        old, new = (per_question(samples, metric) for samples in pair)
        if old is not None and new is not None:
            found[source] = _Change(pair[1], new - old)
    return found


def cause_of(before: Measurement, now: Measurement, members: Sequence[str]) -> tuple[Cause, str]:
    """The likeliest cause of a fall between two measurements, and the sentence that says so.

    Looked at in this order: settings of the scoring that changed; the options' texts, in most sources of the ability;
    one source of the ability alone, where others had something to lose; the text's prior, where SDS without it did not
    fall or without the picture other options are expected than before; sight, where the picture adds less, or where all
    is at chance.
    """
    ability = now.sources[members[0]].ability
    beside = [name for name, samples in now.sources.items() if samples.ability == ability]
    paired_beside = _pairs(before, now, beside)
    pairs = {name: pair for name, pair in paired_beside.items() if name in members}
    if (found := _settings_changed(before, now, pairs)) is not None:
        return found
    # The median: labels of one source that went wrong make its right texts unlikely, and that is no loss of language.
    lost = float(np.median([_text_loss(*pair) for pair in paired_beside.values()]))
    if lost > TEXT_LOST:
        return "text", f"The text ability fell: the options' texts, right or wrong, lost {lost:.2f} nats a token."
    changes = {name: change.mean for name, change in _changes(paired_beside, "sds").items()}
    total = sum(changes.values())
    worst = min(changes, key=lambda name: changes[name])
    others_stood = any(_centred(pair[0]) >= NEAR_CHANCE for name, pair in paired_beside.items() if name != worst)
    if worst in members and others_stood and changes[worst] <= ALONE * min(total, 0.0):
        return (
            "source",
            f"It is {worst} alone: {changes[worst]:+.3f}, of {total:+.3f} summed over sources of {ability}.",
        )
    return _prior_or_sight(pairs, {name: changes[name] for name in pairs if name in changes})


def _settings_changed(before: Measurement, now: Measurement, pairs: _Pairs) -> tuple[Cause, str] | None:
    if changed := _differing(_OF_NUMERICS, before, now):
        said = ", ".join(f"{name}: {before.scoring.get(name)} before, {now.scoring.get(name)} now" for name in changed)
        return "numerics", f"Numerics changed: {said}."
    if changed := _differing(_OF_PROCESSOR, before, now):
        return "processor", f"The processor changed: {', '.join(changed)} of the results differ."
    if any(_tokens_differ(*pair) for pair in pairs.values()):
        return "processor", "The tokenizer changed: the same options have other numbers of tokens."
    if _differing(_OF_TOKENIZER, before, now):
        return "processor", "The tokenizer changed: its tokens have other numbers, which are other words to the model."
    return None


def _differing(names: Iterable[str], before: Measurement, now: Measurement) -> list[str]:
    """Settings that both say and that differ: a stock model, or an earlier version, says less."""
    said = [(name, before.scoring.get(name), now.scoring.get(name)) for name in names]
    return [name for name, old, new in said if old is not None and new is not None and old != new]


def _tokens_differ(old: SourceSamples, new: SourceSamples) -> bool:
    return (
        old.tokens is not None
        and new.tokens is not None
        and old.options == new.options
        and not np.array_equal(old.tokens.values, new.tokens.values)
    )


def _text_loss(old: SourceSamples, new: SourceSamples) -> float:
    """Nats a token that the options together lost, log sum exp over them, less what is no sign of it; 0 for mere sums.

    Without the picture what is seen has no part in it. With it, who cannot see any more gives the texts that are not
    offered their part, too: `UNSEEN` nats are that.
    """
    if old.logprob_blind is not None and new.logprob_blind is not None:
        return float(np.mean(_together(old.logprob_blind) - _together(new.logprob_blind)))
    if old.logprob is None or new.logprob is None:
        return 0.0
    return float(np.mean(_together(old.logprob) - _together(new.logprob))) - UNSEEN


def _together(scores: Ragged) -> FloatArray:
    """(N,) log of the sum over a question's options."""
    return np.asarray(np.logaddexp.reduceat(scores.values, scores.offsets[:-1]))


def _prior_or_sight(pairs: _Pairs, changes: Mapping[str, float]) -> tuple[Cause, str]:
    fell = float(np.mean(list(changes.values())))
    gain = _mean_change(pairs, "visual_gain")
    # The prior first: one that drifted hides what is seen, and then the picture adds less, too.
    for metric in ("sds_free", "sds_pmi"):
        free = _mean_change(pairs, metric)
        if free is not None and free[0] + 2.0 * free[1] >= 0 and free[0] > SIGHTS_PART * fell:
            return "prior", f"The text's prior drifted: without it ({metric}) the change is {free[0]:+.3f} only."
    # One that drifted so far that nothing is seen beside it shows where the picture is withheld.
    moved = [_moved(*pair) for pair in pairs.values()]
    if moved and (part := float(np.mean(moved))) >= PRIOR_MOVED:
        return (
            "prior",
            f"The text's prior drifted: without the picture {part:.0%} of the probability moved to other options.",
        )
    if gain is not None and gain[0] <= SIGHTS_PART * fell:
        return "sight", f"Sight was lost: what the picture adds changed by {gain[0]:+.3f}."
    if gain is not None:
        return "unknown", f"What the picture adds changed by {gain[0]:+.3f} only."
    down = [_centred(pairs[name][1]) for name, change in changes.items() if change < -LEAST]
    if down and float(np.mean(down)) < NEAR_CHANCE:
        return "sight", (
            "Sight was lost, it seems: the texts are as likely as before and what fell is near chance; `prior=blind` "
            "would tell."
        )
    return "unknown", "Nothing that was measured tells why; `prior=blind` would tell whether sight was lost."


def _moved(old: SourceSamples, new: SourceSamples) -> float:
    """Part of the probability without the picture that went to other options, a mean over questions; 0 if not asked.

    The total variation distance of the two distributions, half the sum of |p - q| over a question's options.
    """
    if old.logprob_blind is None or new.logprob_blind is None or old.options != new.options:
        return 0.0
    moved = np.abs(old.logprob_blind.softmax().values - new.logprob_blind.softmax().values)
    return float(np.mean(np.add.reduceat(moved, old.logprob_blind.offsets[:-1]) / 2.0))


def _mean_change(pairs: _Pairs, metric: str) -> tuple[float, float] | None:
    """Mean change over sources and its standard error; None where a source has no such metric."""
    changes = _changes(pairs, metric).values()
    error = error_of_mean([change.error for change in changes])
    if not changes or len(changes) < len(pairs) or error is None:
        return None
    return float(np.mean([change.mean for change in changes])), error


def _centred(samples: SourceSamples) -> float:
    centred = value(samples, "sds_centred")
    return 1.0 if centred is None else centred
