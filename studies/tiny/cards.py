"""A model card of every configuration: what it is, what it read, what it can do, and what it is not for."""

from __future__ import annotations

from packed_study import PARAMETERS, Study, documents_of
from pretrain import kept_steps
from tables import last_words

HEAD = """# Model cards of the tiny study

Made by `studies/tiny/report.py`. All are Qwen2-VL models trained from nothing or from one another, on drawn
pictures of 48 x 48 pixels and handwritten digits, by `examples/tiny_pretraining/train.py` as the plan says.
They are for studying measurements. They know five colours, four shapes, ten digits and the sentences about
them; nothing they say is about any other picture. Weights are not shipped: `make study` makes them.
"""


def cards(study: Study) -> str:
    """The cards of all runs of the plan, as Markdown."""
    plan = study.plan
    parts = [HEAD]
    for name, run in plan["runs"].items():
        mixes = [run.get("mix", "base"), *(f"{mix} from step {step}" for step, mix in run.get("later", {}).items())]
        started = [f"{part} of `{run[part]}`" for part in ("language", "tower", "everything") if part in run]
        facts = [
            ("parameters", f"{PARAMETERS[run.get('width', 128)]:,}, width {run.get('width', 128)}"),
            ("seed", str(run["seed"])),
            ("steps", f"{run.get('steps', plan['steps']):,} of {plan['batch']} documents"),
            ("documents", f"{documents_of(plan, run):,} different ones, mix {', '.join(mixes)}"),
            ("pictures", "yes" if run.get("pictures", True) else "none: texts alone"),
            ("starts from", ", ".join(started) or "nothing"),
            ("trained", "all but " + " and ".join(run["frozen"]) if "frozen" in run else "all parts"),
            ("checkpoints", ", ".join(f"{step:,}" for step in kept_steps(plan, name))),
            ("SDS at the end", _end(study, name)),
        ]
        parts.append(f"## {name}\n\n" + "\n".join(f"- {what}: {said}" for what, said in facts) + "\n")
    return "\n".join(parts)


def _end(study: Study, name: str) -> str:
    if name not in study.trainings:
        return "–"
    of = study.curves(name).abilities
    return f"perception {last_words(of['perception'])}, reasoning {last_words(of['reasoning'])}"
