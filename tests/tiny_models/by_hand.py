"""The families whose checkpoints are spelt out: those that most tests use, with sizes chosen for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import transformers as hf

from tiny_models.tokenizers import tokenizer

TEXT_SIZE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}


def _vocab(tok: hf.PreTrainedTokenizerBase) -> int:
    return max(tok.get_vocab().values()) + 1


def _id(tok: hf.PreTrainedTokenizerBase, name: str) -> int:
    return int(tok.convert_tokens_to_ids(name))


QWEN_SPECIALS = (
    "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>",
    "<|video_pad|>",
)  # fmt: skip


def _qwen(kind: str) -> tuple[Any, Any]:
    tok = tokenizer(QWEN_SPECIALS, pad="<|endoftext|>", image_token="<|image_pad|>", video_token="<|video_pad|>")
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    text = {**TEXT_SIZE, "vocab_size": _vocab(tok), "rope_parameters": rope}
    ids = {
        "image_token_id": _id(tok, "<|image_pad|>"), "video_token_id": _id(tok, "<|video_pad|>"),
        "vision_start_token_id": _id(tok, "<|vision_start|>"), "vision_end_token_id": _id(tok, "<|vision_end|>"),
    }  # fmt: skip
    patch = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3, "num_heads": 2}
    if kind == "qwen2_vl":
        vision: dict[str, Any] = {"depth": 1, "embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2, **patch}
        config: Any = hf.Qwen2VLConfig(text_config=text, vision_config=vision, **ids)
        model: Any = hf.Qwen2VLForConditionalGeneration(config)
    elif kind == "qwen2_5_vl":
        vision = {"depth": 2, "hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48, "window_size": 56,
                  "fullatt_block_indexes": [1], **patch}  # fmt: skip
        config = hf.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
        model = hf.Qwen2_5_VLForConditionalGeneration(config)
    else:
        patch["patch_size"] = 16
        vision = {"depth": 1, "hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48,
                  "num_position_embeddings": 64, **patch}  # fmt: skip
        if kind == "qwen3_vl":
            text["head_dim"] = 8
            config = hf.Qwen3VLConfig(
                text_config=text, vision_config={**vision, "deepstack_visual_indexes": [0]}, **ids
            )
            model = hf.Qwen3VLForConditionalGeneration(config)
        else:
            text |= {
                "num_hidden_layers": 4, "head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
                "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_conv_kernel_dim": 4,
                "layer_types": ["linear_attention", "linear_attention", "linear_attention", "full_attention"],
            }  # fmt: skip
            text["rope_parameters"] = {**rope, "partial_rotary_factor": 1.0}
            config = hf.Qwen3_5Config(text_config=text, vision_config=vision, **ids)
            model = hf.Qwen3_5ForConditionalGeneration(config)
    unit = patch["patch_size"] * 2
    limits = {"shortest_edge": 4 * unit**2, "longest_edge": 16 * unit**2}
    image_processor = hf.Qwen2VLImageProcessor(size=limits, patch_size=patch["patch_size"])
    if kind in ("qwen2_vl", "qwen2_5_vl"):
        video: Any = hf.Qwen2VLVideoProcessor()
        processor_class: Any = hf.Qwen2VLProcessor if kind == "qwen2_vl" else hf.Qwen2_5_VLProcessor
    else:
        video, processor_class = hf.Qwen3VLVideoProcessor(), hf.Qwen3VLProcessor
    return model, processor_class(image_processor=image_processor, tokenizer=tok, video_processor=video)


CLIP = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
        "image_size": 28, "patch_size": 14, "projection_dim": 32}  # fmt: skip
SIGLIP = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
          "image_size": 28, "patch_size": 14}  # fmt: skip


def _llava(kind: str) -> tuple[Any, Any]:
    tok = tokenizer(("<image>",), style="words", bos=True, image_token="<image>")
    text = hf.LlamaConfig(**TEXT_SIZE, vocab_size=_vocab(tok))
    vision = hf.CLIPVisionConfig(**CLIP)
    images = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    common = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1,
              "tokenizer": tok}  # fmt: skip
    ids = {"image_token_id": _id(tok, "<image>")}
    if kind == "llava":
        model: Any = hf.LlavaForConditionalGeneration(hf.LlavaConfig(vision_config=vision, text_config=text, **ids))
        return model, hf.LlavaProcessor(image_processor=hf.CLIPImageProcessor(**images), **common)
    grid = [[28, 56], [56, 28], [56, 56]]
    config = hf.LlavaNextConfig(vision_config=vision, text_config=text, image_grid_pinpoints=grid, **ids)
    image_processor = hf.LlavaNextImageProcessor(**images, image_grid_pinpoints=grid)
    return hf.LlavaNextForConditionalGeneration(config), hf.LlavaNextProcessor(
        image_processor=image_processor, **common
    )


def _llava_onevision() -> tuple[Any, Any]:
    tok = tokenizer((*QWEN_SPECIALS[:2], "<image>", "<video>"), image_token="<image>", video_token="<video>")
    grid = [[28, 28], [28, 56], [56, 28], [56, 56]]
    config = hf.LlavaOnevisionConfig(
        vision_config=hf.SiglipVisionConfig(**SIGLIP, vision_use_head=False),
        text_config=hf.Qwen2Config(**TEXT_SIZE, vocab_size=_vocab(tok)),
        image_token_id=_id(tok, "<image>"), video_token_id=_id(tok, "<video>"), image_grid_pinpoints=grid,
        vision_feature_layer=-1,
    )  # fmt: skip
    image_processor = hf.LlavaOnevisionImageProcessor(
        size={"height": 28, "width": 28}, image_grid_pinpoints=grid,
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip
    processor = hf.LlavaOnevisionProcessor(
        image_processor=image_processor, tokenizer=tok, video_processor=hf.LlavaOnevisionVideoProcessor(),
        num_image_tokens=4, vision_feature_select_strategy="full",
    )  # fmt: skip
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def _internvl() -> tuple[Any, Any]:
    tok = tokenizer(
        (*QWEN_SPECIALS[:2], "<img>", "</img>", "<IMG_CONTEXT>", "<video>"),
        start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>", video_token="<video>",
    )  # fmt: skip
    vision = hf.InternVLVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    config = hf.InternVLConfig(
        vision_config=vision, text_config=hf.Qwen2Config(**TEXT_SIZE, vocab_size=_vocab(tok)),
        image_token_id=_id(tok, "<IMG_CONTEXT>"), image_seq_length=1,
    )  # fmt: skip
    size = {"height": 28, "width": 28}
    processor = hf.InternVLProcessor(
        image_processor=hf.GotOcr2ImageProcessor(size=size, crop_to_patches=True, max_patches=12),
        tokenizer=tok, video_processor=hf.InternVLVideoProcessor(size=size), image_seq_length=1,
    )  # fmt: skip
    return hf.InternVLForConditionalGeneration(config), processor


def _idefics3() -> tuple[Any, Any]:
    specials = ("<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>")
    specials += tuple(f"<row_{r}_col_{c}>" for r in range(1, 4) for c in range(1, 4))
    tok = tokenizer(
        specials, bos=True, image_token="<image>", fake_image_token="<fake_token_around_image>",
        end_of_utterance_token="<end_of_utterance>", global_image_token="<global-img>",
    )  # fmt: skip
    text = hf.LlamaConfig(**TEXT_SIZE, vocab_size=_vocab(tok), pad_token_id=_id(tok, "<pad>"))
    sizes = {"size": {"longest_edge": 56}, "max_image_size": {"longest_edge": 28}}
    config = hf.Idefics3Config(
        vision_config=hf.Idefics3VisionConfig(**SIGLIP),
        text_config=text,
        image_token_id=_id(tok, "<image>"),
        scale_factor=2,
    )
    processor = hf.Idefics3Processor(hf.Idefics3ImageProcessor(**sizes), tok, image_seq_len=1)
    return hf.Idefics3ForConditionalGeneration(config), processor


def _paligemma() -> tuple[Any, Any]:
    tok = tokenizer(("<bos>", "<image>"), style="gemma", image_token="<image>")
    tok.bos_token = "<bos>"
    processor = hf.PaliGemmaProcessor(
        hf.SiglipImageProcessor(size={"height": 28, "width": 28}, image_seq_length=4), tok
    )
    processor.image_processor.image_seq_length = processor.image_seq_length = 4
    text = hf.GemmaConfig(**TEXT_SIZE, head_dim=8, vocab_size=_vocab(tok))
    config = hf.PaliGemmaConfig(
        vision_config=hf.SiglipVisionConfig(**SIGLIP, vision_use_head=False), text_config=text,
        image_token_index=_id(tok, "<image>"), projection_dim=32, hidden_size=32,
    )  # fmt: skip
    return hf.PaliGemmaForConditionalGeneration(config), processor


def _gemma3() -> tuple[Any, Any]:
    specials = ("<start_of_image>", "<end_of_image>", "<image_soft_token>")
    tok = tokenizer(
        specials, style="gemma", bos=True,
        boi_token=specials[0], eoi_token=specials[1], image_token=specials[2],
    )  # fmt: skip
    text = hf.Gemma3TextConfig(
        **TEXT_SIZE,
        head_dim=8,
        vocab_size=_vocab(tok),
        sliding_window=16,
        layer_types=["sliding_attention", "full_attention"],
    )
    config = hf.Gemma3Config(
        text_config=text, vision_config=hf.SiglipVisionConfig(**SIGLIP, vision_use_head=False), mm_tokens_per_image=4,
        image_token_index=_id(tok, specials[2]), boi_token_index=_id(tok, specials[0]),
        eoi_token_index=_id(tok, specials[1]),
    )  # fmt: skip
    image_processor = hf.Gemma3ImageProcessor(size={"height": 28, "width": 28})
    return hf.Gemma3ForConditionalGeneration(config), hf.Gemma3Processor(image_processor, tok, image_seq_length=4)


def _mistral3() -> tuple[Any, Any]:
    tok = tokenizer(
        ("[IMG]", "[IMG_BREAK]", "[IMG_END]"), bos=True,
        image_token="[IMG]", image_break_token="[IMG_BREAK]", image_end_token="[IMG_END]",
    )  # fmt: skip
    vision = hf.PixtralVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, image_size=112, patch_size=14
    )
    text = hf.MistralConfig(**TEXT_SIZE, head_dim=8, vocab_size=_vocab(tok))
    config = hf.Mistral3Config(
        vision_config=vision, text_config=text, image_token_id=_id(tok, "[IMG]"), spatial_merge_size=2
    )
    processor = hf.PixtralProcessor(
        hf.PixtralImageProcessor(size={"longest_edge": 112}, patch_size=28), tok, patch_size=14, spatial_merge_size=2
    )
    return hf.Mistral3ForConditionalGeneration(config), processor


def _aya_vision(kind: str) -> tuple[Any, Any]:
    specials = (
        "<image>",
        "<|START_OF_IMG|>",
        "<|END_OF_IMG|>",
        "<|IMG_LINE_BREAK|>",
        "<|IMG_PATCH|>",
        "TILE",
        "TILE_GLOBAL",
    )
    specials += tuple(f"TILE_{k}" for k in range(1, 13))
    tok = tokenizer(
        specials, bos=True, image_token="<|IMG_PATCH|>", boi_token="<|START_OF_IMG|>", eoi_token="<|END_OF_IMG|>",
        img_line_break_token="<|IMG_LINE_BREAK|>",
    )  # fmt: skip
    text: dict[str, Any] = {
        **TEXT_SIZE,
        "vocab_size": _vocab(tok),
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    vision = {**SIGLIP, "image_size": 28, "patch_size": 7}
    ids = {"image_token_id": _id(tok, "<|IMG_PATCH|>"), "downsample_factor": 2}
    if kind == "aya_vision":
        config: Any = hf.AyaVisionConfig(
            vision_config=hf.SiglipVisionConfig(**vision, vision_use_head=False),
            text_config=hf.CohereConfig(**text),
            **ids,
        )
        processor: Any = hf.AyaVisionProcessor(
            hf.GotOcr2ImageProcessor(size={"height": 28, "width": 28}, crop_to_patches=True, max_patches=3),
            tok, patch_size=14, img_size=28, image_token="<image>", downsample_factor=1,
            tile_token="TILE", tile_global_token="TILE_GLOBAL",
        )  # fmt: skip
        return hf.AyaVisionForConditionalGeneration(config), processor
    config = hf.Cohere2VisionConfig(
        vision_config=hf.SiglipVisionConfig(**vision, vision_use_head=False),
        text_config=hf.Cohere2Config(**text, sliding_window=4096),
        **ids,
    )
    processor = hf.Cohere2VisionProcessor(
        hf.Cohere2VisionImageProcessor(size={"height": 28, "width": 28}, max_patches=3, patch_size=2), tok
    )
    return hf.Cohere2VisionForConditionalGeneration(config), processor


def _glm4v() -> tuple[Any, Any]:
    specials = (
        "<|image|>",
        "<|video|>",
        "<|begin_of_image|>",
        "<|end_of_image|>",
        "<|begin_of_video|>",
        "<|end_of_video|>",
    )
    tok = tokenizer(specials, image_token="<|image|>", video_token="<|video|>")
    text = {**TEXT_SIZE, "vocab_size": _vocab(tok), "head_dim": 8, "pad_token_id": 0, "eos_token_id": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1],
                                "partial_rotary_factor": 1.0}}  # fmt: skip
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 32, "num_heads": 2,
              "image_size": 112, "patch_size": 14}  # fmt: skip
    config = hf.Glm4vConfig(
        text_config=text, vision_config=vision,
        image_token_id=_id(tok, "<|image|>"), video_token_id=_id(tok, "<|video|>"),
        image_start_token_id=_id(tok, "<|begin_of_image|>"), image_end_token_id=_id(tok, "<|end_of_image|>"),
        video_start_token_id=_id(tok, "<|begin_of_video|>"), video_end_token_id=_id(tok, "<|end_of_video|>"),
    )  # fmt: skip
    image_processor = hf.Glm4vImageProcessor(size={"shortest_edge": 4 * 28**2, "longest_edge": 16 * 28**2})
    processor = hf.Glm4vProcessor(
        image_processor=image_processor, tokenizer=tok, video_processor=hf.Glm4vVideoProcessor()
    )
    return hf.Glm4vForConditionalGeneration(config), processor


BY_HAND: dict[str, Callable[[], tuple[Any, Any]]] = {
    "qwen2_vl": lambda: _qwen("qwen2_vl"),
    "qwen2_5_vl": lambda: _qwen("qwen2_5_vl"),
    "qwen3_vl": lambda: _qwen("qwen3_vl"),
    "qwen3_5": lambda: _qwen("qwen3_5"),
    "llava": lambda: _llava("llava"),
    "llava_next": lambda: _llava("llava_next"),
    "llava_onevision": _llava_onevision,
    "internvl": _internvl,
    "idefics3": _idefics3,
    "paligemma": _paligemma,
    "gemma3": _gemma3,
    "mistral3": _mistral3,
    "aya_vision": lambda: _aya_vision("aya_vision"),
    "cohere2_vision": lambda: _aya_vision("cohere2_vision"),
    "glm4v": _glm4v,
}

BY_HAND_IMAGES = {
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"), "<|vision_start|><|image_pad|><|vision_end|>"),
    **dict.fromkeys(("llava", "llava_next", "llava_onevision", "idefics3", "paligemma", "aya_vision"), "<image>"),
    "internvl": "<IMG_CONTEXT>",
    "gemma3": "<start_of_image>",
    "mistral3": "[IMG]",
    "cohere2_vision": "<|IMG_PATCH|>",
    "glm4v": "<|begin_of_image|><|image|><|end_of_image|>",
}
"""What a prompt for the family's processor says for an image."""
