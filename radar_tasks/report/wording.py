"""Development in words, the same in the terminal and on the page; nothing is said that was not measured."""

from __future__ import annotations

from radar_metrics.development import Fall
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.compare_trainings import Stretch, TrainingComparison, TrainingDifference
from radar_tasks.analysis.development.asymmetry import Lead
from radar_tasks.analysis.development.factor_effects import FactorEffect
from radar_tasks.analysis.development.growth import Growth
from radar_tasks.results.metrics import METRICS


def emergence_words(growth: Growth) -> str:
    """When it emerged, for a table; of a single checkpoint it can only be said where it stands."""
    if growth.checkpoints == 1:
        return "at chance" if growth.emergence is None else "above chance"
    return step_words(growth.emergence, growth.first_step, "not yet")


def saturation_words(growth: Growth) -> str:
    """When it stopped growing, for a table; a dash for what never began to, and for a single checkpoint."""
    if growth.checkpoints == 1 or growth.emergence is None:
        return "–"
    return step_words(growth.saturation, growth.first_step, "growing")


def step_words(step: float | None, first_step: int, never: str) -> str:
    """A step; `by` it where it is that of the first checkpoint, since it may have been before."""
    if step is None:
        return never
    return f"by {step:,.0f}" if step == first_step > 0 else f"{step:,.0f}"


def lag_words(lead: Lead) -> str:
    """The lag between both emergences in steps, for a table."""
    if lead.lag is None:
        return "–"
    return f"≥ {lead.lag:,.0f}" if lead.lag_is_bound and lead.lag > 0 else f"{lead.lag:,.0f}"


def fall_words(fall: Fall | None) -> str:
    """The largest fall, for a table."""
    return f"{fall.change.estimate:+.3f}, {fall.start:,.0f} to {fall.end:,.0f}" if fall else "–"


def effect_words(effect: FactorEffect) -> str:
    """An effect with its interval and p, in a sentence."""
    what = f"ten times {effect.factor}" if effect.is_slope else f"{effect.level} minus {effect.against}"
    return f"{what} {signed_interval(effect.effect)}, p {effect.p_value:.3f}"


def amount_words(amount: float) -> str:
    """A step, or another amount of training."""
    return f"{amount:,.0f}" if amount == round(amount) and amount < 1e9 else f"{amount:,.4g}"


def verdict_words(made: TrainingComparison) -> str:
    """One line: which training is better, since when and by how much, ability by ability (a source, without any)."""
    rows = [row for row in made.rows if row.of_ability] or list(made.rows)
    return "; ".join(f"{row.name}: {_verdict(row, made)}" for row in rows) + "."


def _verdict(row: TrainingDifference, made: TrainingComparison) -> str:
    if row.stretches:
        # The longest stretch is the verdict, the latest of equals; the others are named without their numbers.
        lengths = [sum(s.start <= at <= s.end for at in made.amounts) for s in row.stretches]
        longest = max(range(len(lengths)), key=lambda k: (lengths[k], k))
        others = [s for k, s in enumerate(row.stretches) if k != longest]
        rest = ", ".join(f"{_better(s, made)} {span_words(s)}" for s in others)
        return _stretch(row.stretches[longest], made) + (f" (also {rest})" if rest else "")
    if row.mean.low > 0 or row.mean.high < 0:
        name = made.second if (row.mean.low > 0) == METRICS[made.metric].higher_is_better else made.first
        return (
            f"{name} better on average over training, {signed_interval(row.mean)}, at no single point beyond the band"
        )
    return f"not told apart (up to ±{row.bound:.3f} possible)"


def _better(stretch: Stretch, made: TrainingComparison) -> str:
    return made.second if stretch.better == "second" else made.first


def _stretch(stretch: Stretch, made: TrainingComparison) -> str:
    name = _better(stretch, made)
    if len(made.amounts) > 1 and (stretch.start, stretch.end) == (made.amounts[0], made.amounts[-1]):
        when = f"at every matched {made.measured_by}"
    else:
        when = f"{'at' if stretch.start == stretch.end else 'from'} {made.measured_by} {span_words(stretch)}"
    return f"{name} better {when}, {signed_interval(stretch.difference)}"


def span_words(stretch: Stretch) -> str:
    """From where to where, for a table."""
    start, end = amount_words(stretch.start), amount_words(stretch.end)
    return end if stretch.start == stretch.end else f"{start} to {end}"


def signed_interval(value: Interval, digits: int = 3) -> str:
    """A difference with its interval; what rounds to nothing has no sign of less."""
    estimate, low, high = (round(number, digits) + 0.0 for number in (value.estimate, value.low, value.high))
    return f"{estimate:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
