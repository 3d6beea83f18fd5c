"""A Qwen2-VL of about a million parameters, with a tokenizer and an image processor of its own."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from radar_tasks.sources.sample_pictures import SIDE

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
PATCH = 8
"""A picture is 6 x 6 patches, and 9 tokens after merging 2 x 2."""


def make_processor(texts: Iterable[str]) -> Qwen2VLProcessor:
    """Byte-level BPE learnt from `texts` (any text can be encoded), with Qwen's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=SPECIAL[0],
        pad_token=SPECIAL[0],
        extra_special_tokens=list(SPECIAL[1:]),
        model_max_length=1024,
    )
    size = {"shortest_edge": (2 * PATCH) ** 2, "longest_edge": (4 * SIDE) ** 2}
    patches = {"patch_size": PATCH, "merge_size": 2, "temporal_patch_size": 2, "size": size}
    return Qwen2VLProcessor(Qwen2VLImageProcessor(**patches), fast, Qwen2VLVideoProcessor(**patches))


WIDTH = 128


def make_model(processor: Qwen2VLProcessor, width: int = WIDTH) -> Qwen2VLForConditionalGeneration:
    """The untrained model; draw its weights after `transformers.set_seed`.

    Args:
        processor: whose tokens it knows.
        width: of the language model, a multiple of 32; the vision tower is three quarters as wide, rounded up to a
            multiple of 16: each of its 4 heads turns by two coordinates of pairs.
    """
    half_head = width // 8
    sections = [half_head // 4, half_head * 3 // 8, half_head - half_head // 4 - half_head * 3 // 8]  # of M-RoPE
    token = processor.tokenizer.convert_tokens_to_ids
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(processor.tokenizer),
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "initializer_range": 0.05,  # wider than for wide layers: 0.02 took twice as many steps to see anything
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": sections,
            },
            "bos_token_id": token(SPECIAL[0]),
            "eos_token_id": token(SPECIAL[0]),
            "pad_token_id": token(SPECIAL[0]),
        },
        vision_config={
            "depth": 3,
            "embed_dim": -(-width * 3 // 64) * 16,
            "hidden_size": width,
            "num_heads": 4,
            "mlp_ratio": 2,
            "patch_size": PATCH,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "initializer_range": 0.1,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    return Qwen2VLForConditionalGeneration(config)
