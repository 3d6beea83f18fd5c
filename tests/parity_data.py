"""The golden numbers' checkpoints, and a scorer that shares nothing with the engine: one forward per option."""

from pathlib import Path

import torch

from radar_tasks.scoring.checkpoints import CheckpointOptions

PARITY = Path(__file__).parent / "data" / "parity"
LLAVA = PARITY / "llava_onevision_projector" / "model"
FAMILIES = {
    "qwen2_vl": {"pretrained": PARITY / "qwen2_vl" / "model"},
    "internvl_chat": {"pretrained": PARITY / "internvl_chat" / "model"},
    "llava_onevision_projector": {
        "pretrained": LLAVA / "projector",
        "model_base": LLAVA / "base_llm",
        "vision_tower": LLAVA / "siglip-tiny-patch14-384",
    },
}


def options(family, **more):
    return CheckpointOptions(**{name: str(path) for name, path in FAMILIES[family].items()}, dtype="float32", **more)


def one_option(model, encoded, k):
    """(mean raw logit, mean log-probability) of option k, by one forward of one sequence."""
    ids = torch.cat([encoded.prefix_ids, encoded.continuations[k]])
    after = torch.zeros(len(encoded.continuations[k]), dtype=torch.long)
    types = {name: torch.cat([value, after])[None] for name, value in encoded.token_inputs.items()}
    with torch.no_grad():
        out = model(input_ids=ids[None], attention_mask=torch.ones_like(ids)[None], **types, **encoded.vision)
    logits = out.logits[0, -encoded.scored[k] - 1 : -1].double()
    own = ids[-encoded.scored[k] :, None]
    return float(logits.gather(1, own).mean()), float(logits.log_softmax(-1).gather(1, own).mean())
