"""The one error that `radar_metrics` raises on bad input."""


class MetricError(ValueError):
    """A number cannot be computed from this input; the message says which question or value is at fault."""
