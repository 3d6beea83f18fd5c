"""Development in words, the same in the terminal and on the page; nothing is said that was not measured."""

from __future__ import annotations

from radar_metrics.development import Fall
from radar_tasks.analysis.development.asymmetry import Lead
from radar_tasks.analysis.development.growth import Growth


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
