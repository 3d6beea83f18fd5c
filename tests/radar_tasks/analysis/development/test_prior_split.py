"""SDS split into text and sight, and falls told apart, on results with a planted drift or a planted loss of sight."""

import numpy as np
import pytest
from fake_runs import simulate, write_run

from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.analysis.development.curves import training_curves
from radar_tasks.analysis.development.tables import development
from radar_tasks.report.figures import figure
from radar_tasks.report.findings import findings
from radar_tasks.results import find_runs

STEPS = (100, 200, 300)
N = 300
TEXTS = ("red", "blue")


def records(source, sight, drift, seed, blind):
    """Questions whose options are two words; the picture adds `sight` to the right one, the prior `drift` to "red"."""
    rng = np.random.default_rng([seed, 3])
    made = simulate(source, N, 0.0, seed=seed, per_image=1)
    for k, record in enumerate(made):
        options = TEXTS if k % 2 else TEXTS[::-1]
        answer = (k // 2) % 2
        prior = rng.normal(-12.0, 0.1, 2) + [drift if text == "red" else 0.0 for text in options]
        seen = prior + rng.normal(0.0, 0.1, 2)
        seen[answer] += sight
        record |= {
            "options": list(options),
            "answer": answer,
            "logprob": seen.tolist(),
            "bytes": [len(text) for text in options],
            "tokens": [1, 1],
            "score": float(answer_probability([seen.tolist()], [answer])[0]),
        }
        record.pop("logit")
        if blind:
            record["logprob_blind"] = prior.tolist()
    return made


def analysed(folder, sights, drifts, blind=True):
    for step, sight, drift in zip(STEPS, sights, drifts, strict=True):
        sources = {
            name: records(name, sight, drift, step, blind)
            for name in ("wiki_animal", "wiki_plant", "spatial", "mathvista")
        }
        write_run(folder / f"step-{step:05d}", f"step-{step:05d}", sources, experiment="checkpoints/exp1")
    results = find_runs([folder])
    trainings, notes = training_curves(results, np.random.default_rng(0), "sds", resamples=400)
    return results, development(trainings, results, np.random.default_rng(0), notes=notes)


def test_text_and_sight_add_up_to_sds_and_carry_their_bands(tmp_path):
    results, made = analysed(tmp_path, (0.0, 1.0, 2.0), (0.0, 0.0, 0.0))
    sds = {(point.source, point.step): point.value for point in [*made.abilities, *made.sources]}
    assert len(made.prior) == len(sds)
    for point in made.prior:
        assert point.text.estimate + point.sight.estimate == pytest.approx(sds[point.source, point.step], abs=1e-12)
        assert point.text.low <= point.text.estimate <= point.text.high
        assert point.text.low < 0.5 < point.text.high or abs(point.text.estimate - 0.5) < 0.02
    by_hand = results[-1].sources["spatial"]
    blind = answer_probability(by_hand.logprob_blind, by_hand.answer).mean()
    (last,) = [point for point in made.prior if (point.source, point.step) == ("spatial", 300)]
    assert last.text.estimate == pytest.approx(blind)
    assert last.sight.low > 0.2
    drawn = figure("prior", made)
    assert [panel.title for panel in drawn.panels] == ["Perception", "Reasoning"]
    assert "the picture adds" in " ".join(findings(made)[0].sentences)


@pytest.mark.parametrize("blind", [True, False])
@pytest.mark.parametrize(
    ("sights", "drifts", "cause", "said"),
    [
        ((0.0, 2.0, 2.0), (0.0, 0.0, 3.0), "prior", "The prior of the text drifted ("),
        ((0.0, 3.0, 1.0), (0.0, 0.0, 0.0), "sight", "Sight was lost"),
        ((0.0, 2.5, 2.0), (0.0, 0.0, 4.0), "both", "some sight was lost"),
    ],
)
def test_a_fall_is_told_apart(tmp_path, *, blind, sights, drifts, cause, said):
    _, made = analysed(tmp_path, sights, drifts, blind)
    causes = {row.source: row for row in made.falls}
    assert {"perception", "spatial"} <= set(causes)
    assert {row.cause for row in causes.values()} == {cause}
    assert {row.metric for row in causes.values()} == {"sds_free"}
    assert (causes["spatial"].fall.start, causes["spatial"].fall.end) == (200, 300)
    assert said in " ".join(findings(made)[0].sentences)
    assert bool(made.prior) is blind


def test_without_a_fall_there_is_no_cause_and_open_options_have_none(tmp_path):
    _, made = analysed(tmp_path / "a", (0.0, 1.0, 2.0), (0.0, 0.0, 0.0))
    assert made.falls == []
    for step, skill in zip(STEPS, (0.0, 3.0, 0.5), strict=True):  # every option's text is its question's alone
        sources = {"spatial": simulate("spatial", N, skill, seed=step)}
        write_run(tmp_path / "b" / f"step-{step:05d}", f"step-{step:05d}", sources)
    results = find_runs([tmp_path / "b"])
    trainings, _ = training_curves(results, np.random.default_rng(0), "sds", resamples=200)
    made = development(trainings, results, np.random.default_rng(0))
    assert any(row.fall is not None for row in made.growth)
    assert made.falls == []
