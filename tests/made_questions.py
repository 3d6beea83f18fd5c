"""Small random models of every family, and encoded questions made for them by hand.

Made without tokenizer or image processor, so that lengths, pictures and boundaries are what a test wants them to be.
Weights are drawn wide enough for scores to depend visibly on picture and prompt.
"""

from dataclasses import dataclass

import torch
import transformers

from radar_tasks.questions import Question
from radar_tasks.scoring.checkpoints import Checkpoint, CheckpointOptions
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.encoding.prompt_formats import PromptFormat
from radar_tasks.scoring.types import EncodedQuestion

IMAGE = 290
WORDS = 280
TEXT = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.15,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
SPECIAL = {"vision_start_token_id": 291, "vision_end_token_id": 292, "video_token_id": 293}
SIGLIP = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 7,
    "initializer_range": 0.15,
}
QWEN3_VISION = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 2,
    "patch_size": 8,
    "out_hidden_size": 64,
    "num_position_embeddings": 64,
    "initializer_range": 0.15,
}


def grids(generator, count, patch_values):
    """Pictures as rows of patches and their grids, as Qwen's image processors give them."""
    sizes = torch.randint(1, 4, (count, 2), generator=generator) * 2
    grid = torch.cat([torch.ones(count, 1, dtype=torch.long), sizes], dim=1)
    pixels = torch.randn(int(grid.prod(1).sum()), patch_values, generator=generator)
    return {"pixel_values": pixels, "image_grid_thw": grid}, (grid.prod(1) // 4).tolist()


def qwen_grids(patch_values):
    return lambda generator, count: grids(generator, count, patch_values)


def squares(tokens):
    """One 28 x 28 picture a row."""
    return lambda generator, count: (
        {"pixel_values": torch.randn(count, 3, 28, 28, generator=generator)},
        [tokens] * count,
    )


def nested(tokens):
    """One row per question, its pictures in the second place."""

    def make(generator, count):
        pixels = torch.randn(1, count, 3, 28, 28, generator=generator)
        return {"pixel_values": pixels, "pixel_attention_mask": torch.ones(1, count, 28, 28, dtype=torch.long)}, [
            tokens
        ] * count

    return make


def views(generator, count):
    """Several views a picture (LLaVA-OneVision): base view and one a tile, 16 tokens each, and a newline a row."""
    pixels = torch.randn(count, 3, 3, 28, 28, generator=generator)
    return {"pixel_values": pixels, "image_sizes": torch.tensor([[28, 56]] * count)}, [16 + 4 * (8 + 1)] * count


@dataclass(frozen=True)
class Family:
    architecture: str
    config: dict
    pictures: object
    token_inputs: tuple = ()
    most_pictures: int = 3


FAMILIES = {
    "qwen2_vl": Family(
        "Qwen2VL",
        {
            "text_config": TEXT | {"rope_parameters": MROPE},
            "vision_config": {
                "depth": 2,
                "embed_dim": 32,
                "hidden_size": 64,
                "num_heads": 2,
                "mlp_ratio": 2,
                "patch_size": 7,
                "initializer_range": 0.15,
            },
            "image_token_id": IMAGE,
        }
        | SPECIAL,
        qwen_grids(3 * 2 * 7 * 7),
        ("mm_token_type_ids",),
    ),
    "qwen2_5_vl": Family(
        "Qwen2_5_VL",
        {
            "text_config": TEXT | {"rope_parameters": MROPE},
            "vision_config": {
                "depth": 2,
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_heads": 2,
                "patch_size": 7,
                "out_hidden_size": 64,
                "window_size": 28,
                "fullatt_block_indexes": [1],
                "initializer_range": 0.15,
            },
            "image_token_id": IMAGE,
        }
        | SPECIAL,
        qwen_grids(3 * 2 * 7 * 7),
        ("mm_token_type_ids",),
    ),
    "qwen3_vl": Family(
        "Qwen3VL",
        {
            "text_config": TEXT | {"head_dim": 16, "rope_parameters": MROPE | {"mrope_interleaved": True}},
            "vision_config": QWEN3_VISION | {"deepstack_visual_indexes": [0]},
            "image_token_id": IMAGE,
        }
        | SPECIAL,
        qwen_grids(3 * 2 * 8 * 8),
        ("mm_token_type_ids",),
    ),
    "qwen3_5": Family(
        "Qwen3_5",
        {
            "text_config": TEXT
            | {
                "head_dim": 32,
                "layer_types": ["linear_attention", "full_attention", "linear_attention"],
                "num_hidden_layers": 3,
                "linear_key_head_dim": 16,
                "linear_value_head_dim": 16,
                "linear_num_key_heads": 2,
                "linear_num_value_heads": 4,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 1e4,
                    "partial_rotary_factor": 0.5,
                    "mrope_section": [2, 3, 3],
                    "mrope_interleaved": True,
                },
            },
            "vision_config": QWEN3_VISION,
            "image_token_id": IMAGE,
        }
        | SPECIAL,
        qwen_grids(3 * 2 * 8 * 8),
        ("mm_token_type_ids",),
    ),
    "llava": Family(
        "Llava",
        {
            "text_config": TEXT | {"model_type": "llama"},
            "vision_config": SIGLIP | {"model_type": "clip_vision_model", "projection_dim": 32},
            "image_token_index": IMAGE,
        },
        squares(16),
    ),
    "llava_onevision": Family(
        "LlavaOnevision",
        {
            "text_config": TEXT | {"model_type": "qwen2"},
            "vision_config": SIGLIP | {"model_type": "siglip_vision_model"},
            "image_token_index": IMAGE,
            "video_token_index": 293,
            "image_grid_pinpoints": [[28, 56]],
        },
        views,
        most_pictures=1,
    ),
    "internvl": Family(
        "InternVL",
        {
            "text_config": TEXT | {"model_type": "qwen2"},
            "vision_config": SIGLIP | {"image_size": [28, 28], "patch_size": [7, 7]},
            "image_token_id": IMAGE,
            "image_seq_length": 4,
        },
        squares(4),
    ),
    "idefics3": Family(
        "Idefics3",
        {"text_config": TEXT | {"model_type": "llama"}, "vision_config": SIGLIP, "image_token_id": IMAGE},
        nested(4),
    ),
    "smolvlm": Family(
        "SmolVLM",
        {"text_config": TEXT | {"model_type": "llama"}, "vision_config": SIGLIP, "image_token_id": IMAGE},
        nested(4),
    ),
    "paligemma": Family(
        "PaliGemma",
        {
            "text_config": TEXT | {"model_type": "gemma", "head_dim": 16},
            "vision_config": SIGLIP | {"model_type": "siglip_vision_model"},
            "image_token_index": IMAGE,
            "projection_dim": 64,
        },
        squares(16),
        ("token_type_ids",),
    ),
    "gemma3": Family(
        "Gemma3",
        {
            "text_config": TEXT
            | {
                "head_dim": 16,
                "sliding_window": 16,
                "num_hidden_layers": 4,
                "query_pre_attn_scalar": 16,
                "layer_types": ["sliding_attention", "full_attention"] * 2,
            },
            "vision_config": SIGLIP,
            "image_token_index": IMAGE,
            "mm_tokens_per_image": 4,
            "boi_token_index": 291,
            "eoi_token_index": 292,
        },
        squares(4),
        ("token_type_ids",),
    ),
}
"""Gemma3's window is 16 tokens: most made prompts are longer."""


class MadeCheckpoint(Checkpoint):
    """A model with questions encoded by hand."""

    @classmethod
    def of(cls, model):
        parts = Parts(type(model), model.config, processor=None, vision=None)
        return cls(CheckpointOptions(pretrained="(made)"), model, parts, PromptFormat("plain", "plain"))

    def encode(self, question):
        return made_question(self.model_type, int(question.q_id), len(question.options), question.text[0])


def made_checkpoint(model_type, dtype=torch.float32, attn="sdpa", **config):
    """A random model of a family; the same one for the same arguments."""
    family = FAMILIES[model_type]
    settings = {**family.config, **config}
    torch.manual_seed(0)
    made = getattr(transformers, f"{family.architecture}Config")(**settings)
    made._attn_implementation = attn
    architecture = getattr(transformers, f"{family.architecture}ForConditionalGeneration")
    model = architecture._from_config(made).eval()
    for parameter in model.parameters():
        if parameter.ndim == 1 or not parameter.any():
            torch.nn.init.normal_(parameter, mean=float(parameter.detach().mean()), std=0.1)
    return MadeCheckpoint.of(model.to(dtype))


def questions(count, first=0, images=True):
    """Questions of 2 to 6 options; `q_id` is the seed of the encoded form."""
    return [
        Question(
            str(k),
            ("image" if images else "text",),
            (),
            tuple("abcdef"[: 2 + k % 5]),
            0,
            "perception",
            "made",
            "made",
            "",
            f"image-{k}",
        )
        for k in range(first, first + count)
    ]


def made_question(model_type, seed, options, kind="image"):
    """Up to three pictures, text of 1 to 30 tokens between and after them, options of 1 to 40 tokens."""
    family = FAMILIES[model_type]
    generator = torch.Generator().manual_seed(seed)

    def words(most):
        return torch.randint(
            3, WORDS, (int(torch.randint(1, most + 1, (1,), generator=generator)),), generator=generator
        )

    vision, tokens = {}, []
    if kind == "image":
        count = int(torch.randint(1, family.most_pictures + 1, (1,), generator=generator))
        vision, tokens = family.pictures(generator, count)
    pieces = [words(30)]
    for number in tokens:
        pieces += [torch.tensor([291] + [IMAGE] * number + [292]), words(30)]
    prefix = torch.cat(pieces)
    continuations = tuple(words(1 if seed % 4 == 3 and j == 0 else 40) for j in range(options))
    scored = tuple(max(1, len(c) - (j + seed) % 2) for j, c in enumerate(continuations))
    return EncodedQuestion(
        q_id=str(seed),
        prefix_ids=prefix,
        continuations=continuations,
        scored=scored,
        option_bytes=tuple(len(c) for c in continuations),
        token_inputs=dict.fromkeys(family.token_inputs, _types(model_type, prefix)),
        option_inputs={name: torch.tensor(int(model_type == "paligemma")) for name in family.token_inputs},
        vision=vision,
        vision_key=f"picture-{seed}" if vision else "",
        visual_tokens=sum(tokens),
    )


def _types(model_type, prefix):
    """PaliGemma types all of the prompt 0; the others mark image tokens."""
    return torch.zeros_like(prefix) if model_type == "paligemma" else (prefix == IMAGE).long()
