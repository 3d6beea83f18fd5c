"""An item bank of a study: what each question told of its ability over the checkpoints of finished trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radar_metrics.item_bank import discrimination, fit_items
from radar_tasks.analysis.training_runs import require_same_questions
from radar_tasks.errors import ResultsError
from radar_tasks.questions import ABILITIES, Ability
from radar_tasks.results import TrainingRun
from radar_tasks.results.metrics import question_matrix


@dataclass(frozen=True)
class BankItem:
    """A question in the bank; scores are SDS.

    Attributes:
        source, ability, q_id: which question.
        mean: of its score over the checkpoints.
        spread: standard deviation of what the factors leave over.
        discrimination: gain of its score for a gain of 1 of its source's mean; None where the source never moved.
        text: mean score without the picture, what the text alone answers; None where that was not asked everywhere.
        loading: change of the score for a unit of each factor of its ability, see `radar_metrics.item_bank`.
    """

    source: str
    ability: Ability
    q_id: str
    mean: float
    spread: float
    discrimination: float | None
    text: float | None
    loading: tuple[float, ...]


def item_bank(trainings: Sequence[TrainingRun]) -> list[BankItem]:
    """Fits the bank, each ability for itself, on the sources that all trainings have.

    Args:
        trainings: of one study, asked the same questions.

    Raises:
        ResultsError: no source that all have, different questions in one of them, or fewer than three checkpoints.
    """
    first = trainings[0]
    sources = [source for source in first.sources if all(source in other.sources for other in trainings)]
    if not sources:
        raise ResultsError("these trainings have no source in common: there is nothing to fit a bank on.")
    count = sum(len(training.results) for training in trainings)
    if count < 3:
        raise ResultsError(f"{count} checkpoint(s): an item bank is fitted on three or more.")
    require_same_questions(trainings, sources)
    items: list[BankItem] = []
    for ability in ABILITIES:
        mine = [source for source in sources if first.results[0].sources[source].ability == ability]
        tables = {source: table for source in mine if (table := _over_all(trainings, source, "sds")) is not None}
        if tables:
            items += _of_ability(trainings, ability, tables)
    if not items:
        raise ResultsError("no source has mean log-probabilities at every checkpoint, which SDS is made from.")
    return items


def _of_ability(trainings: Sequence[TrainingRun], ability: Ability, tables: dict[str, np.ndarray]) -> list[BankItem]:
    bank = fit_items(np.concatenate(list(tables.values()), axis=1))
    items, place = [], 0
    for source, table in tables.items():
        moves = bool(np.ptp(table.mean(axis=1)) > 0)
        slopes = discrimination(table) if moves else None
        blind = _over_all(trainings, source, "sds_blind")
        for k, q_id in enumerate(trainings[0].results[0].sources[source].q_id):
            items.append(
                BankItem(
                    source=source,
                    ability=ability,
                    q_id=str(q_id),
                    mean=float(bank.mean[place]),
                    spread=float(bank.spread[place]),
                    discrimination=None if slopes is None else float(slopes[k]),
                    text=None if blind is None else float(blind[:, k].mean()),
                    loading=tuple(bank.loading[place].tolist()),
                )
            )
            place += 1
    return items


def _over_all(trainings: Sequence[TrainingRun], source: str, metric: str) -> np.ndarray | None:
    """(C, N) of all checkpoints of all trainings; None where one does not hold the scores."""
    parts = [question_matrix(training, source, metric) for training in trainings]
    whole = [part for part in parts if part is not None]
    return np.concatenate(whole) if len(whole) == len(parts) else None
