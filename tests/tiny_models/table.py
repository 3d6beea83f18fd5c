"""What is particular to the small checkpoint of each type; all else is as its configuration class says, made small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import transformers as hf
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES
from transformers.models.smolvlm import processing_smolvlm

from tiny_models.configs import small
from tiny_models.tokenizers import tokenizer


@dataclass(frozen=True)
class Tiny:
    """A type's small checkpoint.

    Attributes:
        config: over the small configuration; "<token>" in a field for an id is that token's id.
        control: control tokens of the tokenizer beside `named`.
        named: the tokenizer's attributes that the processor reads.
        images: arguments of the image processor.
        processor: further arguments of the processor.
        parts: further parts of the processor by argument, each a class of transformers.
        style, bos, pad: of the tokenizer.
        image: what a prompt for the processor says for an image, with what the family puts around it; it stands in
            the chat template, too. "" for a processor that writes it itself.
        call: further arguments of a call of the processor.
        image_processor, processor_class: where transformers' tables have none for the type.
        unchanged: fields of the configuration that keep their size.
        qformer_tokenizer: whether the processor has a second tokenizer, of BERT's kind.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    control: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Any] = field(default_factory=dict)
    processor: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    style: str = "bytes"
    bos: bool = False
    pad: str = "<pad>"
    image: str = "<image>"
    call: Mapping[str, Any] = field(default_factory=dict)
    image_processor: str = ""
    processor_class: str = ""
    unchanged: tuple[str, ...] = ()
    qformer_tokenizer: bool = False


def made_by_table(model_type: str) -> tuple[Any, Any]:
    """Model and processor of a type of `TABLE`, weights as transformers draws them."""
    tiny = TABLE[model_type]
    if model_type == "smolvlm":  # its processor asks for num2words, which only prompts with videos need
        processing_smolvlm.num2words = processing_smolvlm.num2words or str
    tok = tokenizer(tiny.control, style=tiny.style, bos=tiny.bos, pad=tiny.pad, **tiny.named)
    tokens = dict(tok.get_vocab())
    tokens |= {name: tokens[token] for name, token in tiny.named.items()}
    tokens |= {"vocab_size": max(tokens.values()) + 1, "pad": tok.pad_token_id, "eos": tok.eos_token_id or 0}
    tokens["bos"] = tok.bos_token_id if tok.bos_token_id is not None else tokens["eos"]
    config = small(hf.CONFIG_MAPPING[model_type], tokens, tiny.config, tiny.unchanged)
    model = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(config)](config)
    parts: dict[str, Any] = {name: getattr(hf, made)() for name, made in tiny.parts.items()}
    names = IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type)
    if name := tiny.image_processor or (names or {}).get("torchvision"):
        parts["image_processor"] = getattr(hf, name)(**tiny.images)
    if tiny.qformer_tokenizer:
        parts["qformer_tokenizer"] = tokenizer((), style="pieces")
    processor_class = getattr(hf, tiny.processor_class or PROCESSOR_MAPPING_NAMES[model_type])
    processor = processor_class(tokenizer=tok, **parts, **tiny.processor)
    if tiny.image:
        processor.chat_template = CHAT_TEMPLATE.replace("IMAGE", tiny.image)
    return model, processor


def made_with_t5(model_type: str) -> tuple[Any, Any]:
    """Of BLIP's kind with an encoder-decoder as its language model, as many published ones have."""
    tok = tokenizer(("<pad>", "<image>", "<video>"), style="t5")
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    pad, size = tok.pad_token_id, max(tok.get_vocab().values()) + 1
    text = {"model_type": "t5", "vocab_size": size, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2,
            "num_heads": 4, "decoder_start_token_id": pad, "pad_token_id": pad,
            "eos_token_id": tok.eos_token_id}  # fmt: skip
    image = "video_token_index" if model_type == "instructblipvideo" else "image_token_index"
    config = hf.CONFIG_MAPPING[model_type](
        vision_config={**sizes, **SMALL_VIT}, qformer_config={**sizes, "encoder_hidden_size": 32}, text_config=text,
        num_query_tokens=4, **{image: tok.convert_tokens_to_ids("<video>" if "video" in image else "<image>")},
    )  # fmt: skip
    parts: dict[str, Any] = {"tokenizer": tok, "num_query_tokens": 4}
    if model_type == "instructblipvideo":
        parts["video_processor"] = hf.InstructBlipVideoVideoProcessor(size=SQUARE)
    else:
        parts["image_processor"] = hf.BlipImageProcessor(size=SQUARE)
    if TABLE[model_type].qformer_tokenizer:
        parts["qformer_tokenizer"] = tokenizer((), style="pieces")
    processor = getattr(hf, PROCESSOR_MAPPING_NAMES[model_type])(**parts)
    return MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(config)](config), processor


CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {% for part in message.content %}"
    "{% if part.type == 'image' %}IMAGE{% else %}{{ part.text }}{% endif %}{% endfor %}\n{% endfor %}"
)
"""Real checkpoints have one; for some families it alone says what stands around an image."""


ROPE = {"rope_type": "default", "rope_theta": 10000.0}
MROPE = {**ROPE, "mrope_section": [2, 1, 1]}
QWEN_NAMED = {
    "image_token": "<|image_pad|>", "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>", "vision_end_token": "<|vision_end|>",
}  # fmt: skip
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
CHAT = ("<|im_start|>", "<|im_end|>")


def area(patch: int, merge: int = 2, **more: Any) -> dict[str, Any]:
    """Arguments of an image processor of Qwen's kind: 4 to 16 visual tokens."""
    unit = (patch * merge) ** 2
    return {"size": {"shortest_edge": 4 * unit, "longest_edge": 16 * unit}, "patch_size": patch, **more}


def qwen(config: Mapping[str, Any], patch: int, video: str, **more: Any) -> Tiny:
    """A type with Qwen's processor."""
    return Tiny(
        config, CHAT,
        **{
            "images": area(patch),
            "parts": {"video_processor": video},
            "image_processor": "Qwen2VLImageProcessor", "pad": "<|endoftext|>", "image": QWEN_IMAGE,
            "named": QWEN_NAMED, **more,
        },
    )  # fmt: skip


QWEN3_TEXT = {"rope_parameters": MROPE}
LINEAR = ["linear_attention", "linear_attention", "linear_attention", "full_attention"]
QWEN3_5_TEXT = {
    "num_hidden_layers": 4, "layer_types": LINEAR, "rope_parameters": {**MROPE, "partial_rotary_factor": 1.0},
}  # fmt: skip
GLM_NAMED = {
    "image_token": "<|image|>", "video_token": "<|video|>",
    "image_start_token": "<|begin_of_image|>", "image_end_token": "<|end_of_image|>",
    "video_start_token": "<|begin_of_video|>", "video_end_token": "<|end_of_video|>",
}  # fmt: skip


def glm(text: Mapping[str, Any], images: str, video: str, processor: str, **vision: Any) -> Tiny:
    """A type with GLM's processor."""
    return Tiny(
        {"text_config": text, "vision_config": {"image_size": 112, **vision}}, (), GLM_NAMED, area(14),
        parts={"video_processor": video}, image_processor=images, processor_class=processor,
        image="<|begin_of_image|><|image|><|end_of_image|>",
    )  # fmt: skip


GLM_TEXT = {"rope_parameters": {**MROPE, "partial_rotary_factor": 1.0}}
SQUARE = {"height": 28, "width": 28}
CLIP_IMAGES = {"size": {"shortest_edge": 28}, "crop_size": SQUARE}
SMALL_VIT = {"image_size": 28, "patch_size": 14}
IMAGE = {"image_token": "<image>"}
LLAVA = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
OMNI_NAMED = {
    "image_token": "<|IMAGE|>", "video_token": "<|VIDEO|>", "audio_token": "<|AUDIO|>",
    "vision_bos_token": "<|vision_bos|>", "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>",
}  # fmt: skip
OMNI_IDS = {
    "vision_start_token_id": "<|vision_bos|>", "vision_end_token_id": "<|vision_eos|>",
    "audio_start_token_id": "<|audio_bos|>", "audio_end_token_id": "<|audio_eos|>",
}  # fmt: skip
KOSMOS_TOKENS = (
    "</doc>", "<image>", "</image>", "</chunk>", "</line>", "<phrase>", "</phrase>", "<object>", "</object>",
    "</delimiter_of_multi_objects/>", "<grounding>", *(f"<patch_index_{place:04d}>" for place in range(64)),
)  # fmt: skip
GEMMA3N_VISION = {
    "hidden_size": 2048, "vocab_size": 8,
    "model_args": {"channel_multiplier": 0.01, "stem_size": 8, "msfa_output_resolution": 2},
}  # fmt: skip
QFORMER = {"num_query_tokens": 4, "image_token_index": "<image>"}
MINICPM_NAMED = {
    "image_token": "<|image_pad|>", "video_token": "<|video_pad|>", "image_start_token": "<image>",
    "image_end_token": "</image>", "slice_start_token": "<slice>", "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>", "image_id_end_token": "</image_id>",
}  # fmt: skip
MUSE_CONTROL = (
    "<|patch|>", "<|image_start|>", "<|image_end|>", "<|video|>", "<|vid_frame_separator|>", "<|vid_start|>",
    "<|vid_end|>", "<|audio|>",
)  # fmt: skip

GEMMA_NAMED = {
    "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>",
    "boa_token": "<start_of_audio>", "eoa_token": "<end_of_audio>", "audio_token": "<audio_soft_token>",
}  # fmt: skip
GEMMA4_VISION = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 4, "head_dim": 8, "position_embedding_size": 64,
}  # fmt: skip
IDEFICS_NAMED = {
    "image_token": "<image>", "fake_image_token": "<fake_token_around_image>",
    "end_of_utterance_token": "<end_of_utterance>", "global_image_token": "<global-img>",
}  # fmt: skip
TILED = tuple(f"<row_{row}_col_{column}>" for row in range(1, 4) for column in range(1, 4))
CHAMELEON_CODES = tuple(f"IMGIMG{chr(65 + code // 10)}{chr(65 + code % 10)}Z" for code in range(64))
EMU_CODES = (*(f"<|visual token {code:06d}|>" for code in range(64)), "<|extra_200|>")

TABLE: dict[str, Tiny] = {
    # of Qwen's kind
    "exaone4_5": qwen(
        {
            "text_config": {"sliding_window_pattern": 2},
            "vision_config": {"window_size": 56, "fullatt_block_indexes": [1]},
        },
        14,
        "Qwen2VLVideoProcessor",
    ),
    "hyperclovax_vision_v2": qwen(
        {"vision_config": {"window_size": 56, "fullatt_block_indexes": [1]}}, 14, "Qwen2VLVideoProcessor"
    ),
    "qwen3_vl_moe": qwen(
        {"text_config": QWEN3_TEXT, "vision_config": {"deepstack_visual_indexes": [0]}}, 16, "Qwen3VLVideoProcessor"
    ),
    "cosmos3_omni": qwen(
        {"text_config": QWEN3_TEXT, "vision_config": {"deepstack_visual_indexes": [0]}},
        16,
        "Qwen3VLVideoProcessor",
        processor_class="Qwen3VLProcessor",
    ),
    "qwen3_5_moe": qwen({"text_config": QWEN3_5_TEXT}, 16, "Qwen3VLVideoProcessor"),
    "qwen4_exp": qwen(
        {
            "text_config": {
                **QWEN3_5_TEXT,
                "hc_lowrank": 8,
                "indexer_n_heads": 2,
                "indexer_kv_heads": 1,
                "indexer_head_dim": 8,
                "indexer_budget": 64,
                "indexer_compress_ratio": 4,
                "output_gate_type": "silu",
            }
        },
        16,
        "Qwen3VLVideoProcessor",
    ),
    "cosmos3_edge": qwen(
        {"text_config": QWEN3_TEXT, "vision_config": {"num_patches": 64}},
        16,
        "Cosmos3EdgeVideoProcessor",
        image_processor="Cosmos3EdgeImageProcessor",
        call={"return_mm_token_type_ids": True},
    ),
    "cohere_compass": qwen(
        {
            "text_config": {
                "layer_types": ["sliding_attention", "full_attention"],
                "rope_parameters": {"sliding_attention": MROPE, "full_attention": MROPE},
            },
            "vision_config": {"deepstack_visual_indexes": [0]},
        },
        16,
        "CohereCompassVideoProcessor",
        image_processor="CohereCompassImageProcessor",
        named={
            "image_token": "<|IMAGE_PAD|>",
            "video_token": "<|VIDEO_PAD|>",
            "vision_start_token": "<|VISION_START|>",
            "vision_end_token": "<|VISION_END|>",
        },
        image="<|VISION_START|><|IMAGE_PAD|><|VISION_END|>",
    ),
    "lfm3_vl": qwen(
        {
            "text_config": {"num_hidden_layers": 3, "layer_types": ["conv", "sliding_attention", "full_attention"]},
            "vision_config": {"layer_types": ["conv", "full_attention"], "num_key_value_heads": 2},
        },
        16,
        "Qwen3VLVideoProcessor",
    ),
    "dots3_note": qwen(
        {
            "text_config": {
                "num_key_value_heads": 4,
                "num_hidden_layers": 3,
                "qk_nope_head_dim": 8,
                "layer_types": ["indexed_attention", "sliding_attention", "indexed_attention"],
                "per_layer_config": {
                    1: {
                        "num_attention_heads": 4,
                        "num_key_value_heads": 4,
                        "q_lora_rank": 16,
                        "kv_lora_rank": 16,
                        "head_dim": 16,
                        "qk_nope_head_dim": 8,
                        "v_head_dim": 8,
                        "qk_rope_head_dim": 8,
                    }
                },
            },
            "vision_config": {"mlp_layer_types": ["dense", "sparse"], "num_local_experts": 4, "num_experts_per_tok": 2},
        },
        14,
        "Qwen3VLVideoProcessor",
        named={"image_token": "<|imgpad|>", "video_token": "<|video_pad|>", "audio_token": "<|audio_comp_pad|>"},
        parts={"video_processor": "Qwen3VLVideoProcessor", "feature_extractor": "Dots3NoteFeatureExtractor"},
        image="<|imgpad|>",
        images=area(14, temporal_patch_size=1),
    ),
    "video_llama_3": qwen({}, 16, "VideoLlama3VideoProcessor", image_processor="VideoLlama3ImageProcessor"),
    "glm46v": glm(GLM_TEXT, "Glm46VImageProcessor", "Glm46VVideoProcessor", "Glm46VProcessor"),
    "glmga": glm(GLM_TEXT, "GlmgaImageProcessor", "GlmgaVideoProcessor", "Glm46VProcessor"),
    "glm4v_moe": glm(GLM_TEXT, "Glm4vImageProcessor", "Glm4vVideoProcessor", "Glm4vProcessor"),
    "glm_ocr": glm(GLM_TEXT, "Glm46VImageProcessor", "Glm46VVideoProcessor", "Glm46VProcessor"),
    "glm5_next": glm(
        {"num_key_value_heads": 4, "num_hidden_layers": 4, "layer_types": LINEAR},
        "Glm5NextImageProcessor",
        "Glm5NextVideoProcessor",
        "Glm5NextProcessor",
    ),
    "ernie4_5_vl_moe": Tiny(
        {"text_config": {"moe_intermediate_size": [16, 16], "rope_parameters": {**ROPE, "mrope_section": [1, 1, 2]}}},
        (),
        {
            "image_token": "<|IMAGE_PLACEHOLDER|>",
            "video_token": "<|VIDEO_PLACEHOLDER|>",
            "image_start_token": "<|IMAGE_START|>",
            "image_end_token": "<|IMAGE_END|>",
            "video_start_token": "<|VIDEO_START|>",
            "video_end_token": "<|VIDEO_END|>",
        },
        area(14),
        {"video_processor": hf.Ernie4_5_VLMoeVideoProcessor(draw_on_frames=False)},
        image="<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>",
    ),
    "paddleocr_vl": Tiny(
        {"text_config": QWEN3_TEXT, "vision_config": {"image_size": 112}},
        CHAT,
        QWEN_NAMED,
        area(14),
        image=QWEN_IMAGE,
    ),
    "kimi_k25": Tiny(
        {"text_config": {"first_k_dense_replace": 1, "num_key_value_heads": 4}},
        (),
        {
            "image_token": "<|media_pad|>",
            "video_token": "<|kimi_k25_video_placeholder|>",
            "vision_start_token": "<|media_begin|>",
            "vision_end_token": "<|media_end|>",
        },
        {"patch_size": 14, "max_patches": 64},
        image="<|media_begin|><|media_pad|><|media_end|>",
        parts={"video_processor": "Kimi_K25VideoProcessor"},
    ),
    "minimax_m3_vl": Tiny(
        {"image_token_index": "]<]image[>[", "video_token_index": "]<]video[>["},
        ("]<]image[>[", "]<]video[>[", "]<]start of image[>[", "]<]end of image[>["),
        {},
        area(14),
        parts={"video_processor": "MiniMaxM3VLVideoProcessor"},
        image="]<]image[>[",
    ),
    "qwen2_5_omni_thinker": Tiny(
        {"text_config": QWEN3_TEXT, "vision_config": {"window_size": 56, "fullatt_block_indexes": [1]}, **OMNI_IDS},
        CHAT,
        OMNI_NAMED,
        area(14),
        image="<|vision_bos|><|IMAGE|><|vision_eos|>",
        image_processor="Qwen2VLImageProcessor",
        processor_class="Qwen2_5OmniProcessor",
        parts={"video_processor": "Qwen2VLVideoProcessor", "feature_extractor": "WhisperFeatureExtractor"},
    ),
    "qwen3_omni_moe_thinker": Tiny(
        {"text_config": QWEN3_TEXT, "vision_config": {"deepstack_visual_indexes": [0]}, **OMNI_IDS},
        CHAT,
        OMNI_NAMED,
        area(16),
        image="<|vision_bos|><|IMAGE|><|vision_eos|>",
        image_processor="Qwen2VLImageProcessor",
        processor_class="Qwen3OmniMoeProcessor",
        parts={"video_processor": "Qwen2VLVideoProcessor", "feature_extractor": "WhisperFeatureExtractor"},
    ),
    # of LLaVA's kind
    "vipllava": Tiny(
        {"vision_config": SMALL_VIT, "vision_feature_layers": [-2, -1]},
        named=IMAGE,
        images=CLIP_IMAGES,
        processor=LLAVA,
        style="words",
        bos=True,
    ),
    "llava_next_video": Tiny(
        {"vision_config": SMALL_VIT, "image_grid_pinpoints": [[28, 56], [56, 28], [56, 56]]},
        named={**IMAGE, "video_token": "<video>"},
        images={**CLIP_IMAGES, "image_grid_pinpoints": [[28, 56], [56, 28], [56, 56]]},
        processor=LLAVA,
        parts={"video_processor": "LlavaNextVideoVideoProcessor"},
        style="words",
        bos=True,
    ),
    "video_llava": Tiny(
        {"vision_config": SMALL_VIT},
        named={**IMAGE, "video_token": "<video>"},
        images=CLIP_IMAGES,
        processor=LLAVA,
        parts={"video_processor": "VideoLlavaVideoProcessor"},
        image_processor="VideoLlavaImageProcessor",
        style="words",
        bos=True,
    ),
    "granite4_vision": Tiny(
        {
            "vision_config": {"image_size": 56, "patch_size": 14, "hidden_size": 64},
            "qformer_config": {"hidden_size": 64, "encoder_hidden_size": 64},
            "image_grid_pinpoints": [[56, 112], [112, 56], [112, 112]],
            "downsample_rate": "1/2",
            "deepstack_layer_map": [[-1, 0], [-2, 1]],
            "spatial_target_layers": [0, 0, 1, 1],
        },
        named=IMAGE,
        images={
            "size": {"shortest_edge": 56},
            "crop_size": {"height": 56, "width": 56},
            "image_grid_pinpoints": [[56, 112], [112, 56], [112, 112]],
        },
        processor={**LLAVA, "downsample_rate": "1/2"},
    ),
    "fast_vlm": Tiny(
        {
            "vision_config": {
                "architecture": "fastvit_t8",
                "hidden_size": 32,
                "model_args": {"inference_mode": True, "layers": [1, 1, 1, 1], "embed_dims": [8, 8, 16, 16]},
            },
            "image_seq_length": 4,
        },
        named=IMAGE,
        images={"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}},
        processor={"patch_size": 32},
        image_processor="CLIPImageProcessor",
        processor_class="LlavaProcessor",
    ),
    "perception_lm": Tiny(
        {
            "vision_config": {
                "architecture": "vit_pe_core_large_patch14_336",
                "model_args": {
                    "embed_dim": 32,
                    "img_size": [28, 28],
                    "depth": 2,
                    "num_heads": 2,
                    "global_pool": "",
                    "use_post_transformer_norm": False,
                    "init_values": 0.1,
                    "ref_feat_shape": [2, 2],
                },
            },
            "vision_use_cls_token": True,
            "projector_pooling_ratio": 1,
        },
        named={**IMAGE, "video_token": "<video>"},
        images={"tile_size": 28, "size": SQUARE, "max_num_tiles": 3},
        processor={"patch_size": 14, "pooling_ratio": 1},
        parts={"video_processor": "PerceptionLMVideoProcessor"},
    ),
    "gemma3n": Tiny(
        {
            "text_config": {
                "num_hidden_layers": 4,
                "num_kv_shared_layers": 2,
                "intermediate_size": [48] * 4,
                "layer_types": ["sliding_attention", "full_attention"] * 2,
                "activation_sparsity_pattern": [0.0] * 4,
                "vocab_size_per_layer_input": 700,
            },
            "vision_config": GEMMA3N_VISION,
            "audio_config": {"vocab_size": 8, "sscp_conv_channel_size": [8, 8], "conf_num_hidden_layers": 1},
            "vision_soft_tokens_per_image": 4,
        },
        (),
        GEMMA_NAMED,
        {"size": {"height": 64, "width": 64}, "do_normalize": False},
        {"image_seq_length": 4},
        {"feature_extractor": "Gemma3nAudioFeatureExtractor"},
        "gemma",
        True,
        image="<image_soft_token>",
    ),
    "gemma4": Tiny(
        {
            "text_config": {"vocab_size_per_layer_input": 700},
            "vision_config": {"model_type": "gemma4_vision", **GEMMA4_VISION},
        },
        ("<|video|>",),
        GEMMA_NAMED,
        {"max_soft_tokens": 70},
        {"image_seq_length": 70},
        {"feature_extractor": "Gemma4AudioFeatureExtractor", "video_processor": "Gemma4VideoProcessor"},
        "gemma",
        True,
        image="<image_soft_token>",
    ),
    "gemma4_unified": Tiny(
        {"vision_config": {"model_type": "gemma4_unified_vision", "mm_embed_dim": 32, "output_proj_dims": 32}},
        ("<|video|>",),
        GEMMA_NAMED,
        {"max_soft_tokens": 70},
        {"image_seq_length": 70},
        {"feature_extractor": "Gemma4UnifiedAudioFeatureExtractor", "video_processor": "Gemma4UnifiedVideoProcessor"},
        "gemma",
        True,
        image="<image_soft_token>",
    ),
    # of BLIP's kind
    "blip-2": Tiny(
        {"vision_config": SMALL_VIT, **QFORMER},
        ("<image>",),
        images={"size": SQUARE},
        processor={"num_query_tokens": 4},
        image="",
    ),
    "instructblip": Tiny(
        {"vision_config": SMALL_VIT, **QFORMER},
        ("<image>",),
        images={"size": SQUARE},
        processor={"num_query_tokens": 4},
        qformer_tokenizer=True,
        image="",
        style="words",
        bos=True,
    ),
    "instructblipvideo": Tiny(
        {"vision_config": SMALL_VIT, **QFORMER, "image_token_index": None, "video_token_index": "<video>"},
        ("<video>",),
        processor={"num_query_tokens": 4, "video_processor": hf.InstructBlipVideoVideoProcessor(size=SQUARE)},
        qformer_tokenizer=True,
        image="",
    ),
    "blip": Tiny({"vision_config": SMALL_VIT}, images={"size": SQUARE}, style="pieces", image=""),
    "git": Tiny({"vision_config": SMALL_VIT}, images=CLIP_IMAGES, style="pieces", image=""),
    # of Idefics's kind
    "idefics": Tiny(
        {"vision_config": SMALL_VIT},
        ("<image>", "<fake_token_around_image>"),
        images={"image_size": 28},
        image="",
        style="llama",
        bos=True,
    ),
    "idefics2": Tiny(
        # A window that reaches from the last option back to the picture: a narrower one hides it.
        {"vision_config": {"image_size": 56, "patch_size": 14}, "text_config": {"sliding_window": 96}},
        control=("<end_of_utterance>",),
        named={"image_token": "<image>", "image_boundary_token": "<fake_token_around_image>"},
        images={"size": {"shortest_edge": 28, "longest_edge": 56}},
        processor={"image_seq_len": 4},
        style="llama",
        bos=True,
    ),
    "smolvlm": Tiny(
        {"vision_config": SMALL_VIT, "scale_factor": 2, "image_token_id": "<image>"},
        TILED,
        IDEFICS_NAMED,
        {"size": {"longest_edge": 56}, "max_image_size": {"longest_edge": 28}},
        {"image_seq_len": 1},
        {"video_processor": "SmolVLMVideoProcessor"},
    ),
    "granite_docling": Tiny(
        {"vision_config": {"image_size": 32, "patch_size": 8, "scale_factor": 2, "deepstack_visual_indexes": [0, 1]}},
        TILED,
        IDEFICS_NAMED,
        {"size": {"height": 32, "width": 32}, "max_patches": 3},
        {"image_seq_len": 4},
    ),
    # an encoder and a decoder
    "florence2": Tiny(
        {
            "vision_config": {
                "depths": [1, 1, 1, 1],
                "embed_dim": [8, 8, 16, 32],
                "num_heads": [1, 1, 2, 2],
                "num_groups": [1, 1, 2, 2],
                "window_size": 4,
            },
        },
        named=IMAGE,
        images={"size": {"height": 64, "width": 64}, "do_center_crop": False, "image_seq_length": 5},
        image="",
        bos=True,
    ),
    "t5gemma2": Tiny(
        {
            "encoder": {
                "vision_config": SMALL_VIT,
                "mm_tokens_per_image": 4,
                "image_token_index": "<image_soft_token>",
            },
            "image_token_index": "<image_soft_token>",
        },
        (),
        GEMMA_NAMED,
        {"size": SQUARE},
        {"image_seq_length": 4},
        style="gemma",
        bos=True,
        image="<start_of_image>",
    ),
    "pix2struct": Tiny(
        {"vision_config": {"seq_len": 64, "patch_embed_hidden_size": 768}},
        images={"max_patches": 64},
        style="t5",
        image="",
    ),
    "pp_formulanet": Tiny(
        {
            "vision_config": {
                "image_size": 64,
                "patch_size": 4,
                "window_size": 4,
                "global_attn_indexes": [],
                "output_channels": 16,
                "post_conv_in_channels": 16,
                "post_conv_mid_channels": 16,
                "post_conv_out_channels": 32,
                "decoder_hidden_size": 32,
            },
        },
        images={"size": {"height": 64, "width": 64}},
        image="",
    ),
    "udop": Tiny(
        {"image_size": 28, "patch_size": 14, "decoder_start_token_id": "<pad>"},
        images={"size": SQUARE, "apply_ocr": False},
        style="udop",
        image="",
        call={"text_pair": [""], "boxes": [[0, 0, 0, 0]]},
    ),
    "vision-encoder-decoder": Tiny(
        {
            "encoder": SMALL_VIT,
            "decoder": {"is_decoder": True, "add_cross_attention": True},
            "decoder_start_token_id": "</s>",
        },
        images={"size": SQUARE},
        image_processor="ViTImageProcessor",
        processor_class="TrOCRProcessor",
        style="words",
        bos=True,
        image="",
    ),
    # VQ
    "chameleon": Tiny(
        {
            "vocabulary_map": {name: name for name in ("<image>", *CHAMELEON_CODES)},
            "image_token_id": None,
            "vq_config": {"resolution": 32, "channel_multiplier": [1, 1, 1, 1]},
        },
        CHAMELEON_CODES,
        {"image_token": "<image>", "boi_token": "<racm3:break>", "eoi_token": "<eoss>", "sep_token": "<sep>"},
        {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}},
        {"image_seq_length": 16},
    ),
    "emu3": Tiny(
        {
            "vocabulary_map": {name: name for name in ("<image>", *EMU_CODES)},
            "vq_config": {
                "channel_multiplier": [1, 1, 1, 1],
                "embed_dim": 4,
                "latent_channels": 4,
                "base_channels": 32,
                "attn_resolutions": [3],
            },
        },
        EMU_CODES,
        {
            "image_token": "<image>",
            "boi_token": "<|image start|>",
            "eoi_token": "<|image end|>",
            "image_wrapper_token": "<|image token|>",
            "eof_token": "<|extra_201|>",
        },
        {"min_pixels": 32 * 32, "max_pixels": 64 * 64},
        image_processor="Emu3ImageProcessor",
    ),
    "janus": Tiny(
        {
            "vision_config": {"image_size": 32, "patch_size": 16, "num_image_tokens": 4},
            "vq_config": {"channel_multiplier": [1, 1], "num_patches": 2},
        },
        ("<begin_of_image>", "<end_of_image>"),
        {"image_token": "<image_placeholder>", "boi_token": "<begin_of_image>", "eoi_token": "<end_of_image>"},
        {"size": {"height": 32, "width": 32}},
        {"num_image_tokens": 4},
        image="<image_placeholder>",
    ),
    # others
    "aria": Tiny(
        {
            "vision_config": {"image_size": 980, "patch_size": 98, "hidden_size": 8, "num_attention_heads": 2},
            "projector_patch_to_query_dict": {100: 4},
            "max_value_projector_patch_to_query_dict": 4,
        },
        named=IMAGE,
        processor={"size_conversion": {980: 4}},
    ),
    "deepseek_vl": Tiny(
        {"vision_config": SMALL_VIT},
        named={"image_token": "<image_placeholder>"},
        images={"size": SQUARE},
        processor={"num_image_tokens": 4},
        image="<image_placeholder>",
    ),
    "deepseek_vl_hybrid": Tiny(
        {
            "vision_config": SMALL_VIT,
            "high_res_vision_config": {"image_size": 64, "patch_size": 16, "global_attn_indexes": [0]},
        },
        named={"image_token": "<image_placeholder>"},
        images={"size": SQUARE, "high_res_size": {"height": 64, "width": 64}},
        processor={"num_image_tokens": 4},
        image="<image_placeholder>",
    ),
    "deepseek_ocr2": Tiny(
        {
            "text_config": {"mlp_layer_types": ["dense", "sparse"], "num_experts_per_tok": 2},
            "vision_config": {
                "sam_config": {
                    "image_size": 192,
                    "patch_size": 4,
                    "window_size": 4,
                    "global_attn_indexes": [],
                    "downsample_channels": [32, 32],
                },
            },
        },
        named=IMAGE,
        images={"size": {"height": 192, "width": 192}, "tile_size": 192, "max_patches": 3},
        processor={"patch_size": 4},
    ),
    "unlimited_ocr": Tiny(
        {
            "vision_config": {
                "sam_config": {
                    "image_size": 64,
                    "patch_size": 4,
                    "window_size": 4,
                    "global_attn_indexes": [],
                    "downsample_channels": [32, 32],
                },
                "encoder_config": {"image_size": 64, "patch_size": 16},
            },
        },
        named=IMAGE,
        images={"size": {"height": 64, "width": 64}, "tile_size": 48, "max_patches": 3},
        processor={"patch_size": 4},
    ),
    "got_ocr2": Tiny(
        {
            "vision_config": {"image_size": 128, "patch_size": 2, "window_size": 8, "global_attn_indexes": []},
            "image_seq_length": 256,
        },
        (*CHAT, "<img>", "</img>"),
        {"image_token": "<imgpad>"},
        {"size": {"height": 128, "width": 128}},
        image="<img><imgpad></img>",
    ),
    "pp_chart2table": Tiny(
        {
            "vision_config": {"image_size": 128, "patch_size": 2, "window_size": 8, "global_attn_indexes": []},
            "image_seq_length": 256,
        },
        (*CHAT, "<img>", "</img>"),
        {"image_token": "<imgpad>"},
        {"size": {"height": 128, "width": 128}},
        image="<img>" + "<imgpad>" * 256 + "</img>",
    ),
    "hunyuan_vl": Tiny(
        {
            "text_config": {"head_dim": 8, "rope_parameters": {**ROPE, "mrope_section": [1, 1, 1, 1]}},
            "im_start_id": "<hy_im_start>",
            "im_end_id": "<hy_im_end>",
            "im_newline_id": "<hy_newline>",
        },
        (),
        {
            "image_token": "<hy_image>",
            "image_start_token": "<hy_im_start>",
            "image_end_token": "<hy_im_end>",
            "image_newline_token": "<hy_newline>",
        },
        area(16),
        image="<hy_im_start><hy_image><hy_im_end>",
    ),
    "inkling2": Tiny({}, named={"image_token": "<|unused_200054|>"}, image="<|unused_200054|>"),
    "inkling_mm_model": Tiny(
        {"audio_config": {"n_mel_bins": 8, "mel_vocab_size": 16}},
        named={
            "image_token": "<|unused_200054|>",
            "audio_token": "<|unused_200053|>",
            "image_bos_token": "<|content_image|>",
            "audio_bos_token": "<|content_audio_input|>",
        },
        parts={"feature_extractor": "InklingFeatureExtractor"},
        image="<|content_image|><|unused_200054|>",
    ),
    "kosmos-2": Tiny(
        {"vision_config": SMALL_VIT, "latent_query_num": 64},
        images=CLIP_IMAGES,
        processor_class="Kosmos2Processor",
        processor={"num_patch_index_tokens": 64},
        image="",
        control=KOSMOS_TOKENS,
        style="llama",
        bos=True,
    ),
    "kosmos-2.5": Tiny(
        {"vision_config": {"max_num_patches": 4096, "patch_embed_hidden_size": 768}},
        (),
        {"image_token": "<s>", "boi_token": "<image>", "eoi_token": "</image>"},
        {},
        {"num_image_tokens": 4},
        processor_class="Kosmos2_5Processor",
        image="",
        style="llama",
        bos=True,
    ),
    "fuyu": Tiny(
        {"image_size": 30, "patch_size": 10, "image_token_id": "|SPEAKER|"},
        ("|SPEAKER|", "|NEWLINE|"),
        images={"size": {"height": 30, "width": 30}, "patch_size": {"height": 10, "width": 10}},
        style="fuyu",
        image="",
    ),
    "lfm2_vl": Tiny(
        {"vision_config": {"patch_size": 8, "num_patches": 64}},
        (
            "<|image_start|>",
            "<|image_end|>",
            "<|img_thumbnail|>",
            *(f"<|img_row_{r}_col_{c}|>" for r in range(1, 4) for c in range(1, 4)),
        ),
        IMAGE,
        {
            "tile_size": 32,
            "encoder_patch_size": 8,
            "min_image_tokens": 4,
            "max_image_tokens": 16,
            "max_tiles": 3,
            "size": {"height": 32, "width": 32},
        },
    ),
    "lighton_ocr": Tiny(
        {"vision_config": {"image_size": 112, "patch_size": 14}},
        CHAT,
        {"image_token": "<|image_pad|>", "image_break_token": "<|vision_pad|>", "image_end_token": "<|vision_end|>"},
        {"size": {"longest_edge": 112}, "patch_size": 28},
        {"patch_size": 14, "spatial_merge_size": 2},
        image="<|image_pad|>",
    ),
    "mistral_large4": Tiny(
        {"vision_config": {"image_size": 112, "patch_size": 14}, "text_config": {"num_key_value_heads": 4}},
        (),
        {"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"},
        {"size": {"longest_edge": 112}, "patch_size": 28},
        {"patch_size": 14, "spatial_merge_size": 2},
        bos=True,
        image="[IMG]",
    ),
    "llama4": Tiny(
        {
            "vision_config": {"image_size": 56, "patch_size": 14, "intermediate_size": 128},
            "image_token_index": "<|patch|>",
            "boi_token_index": "<|image_start|>",
            "eoi_token_index": "<|image_end|>",
        },
        ("<|image|>", "<|image_start|>", "<|image_end|>", "<|patch|>", "<|tile_x_separator|>", "<|tile_y_separator|>"),
        images={"size": {"height": 56, "width": 56}, "max_patches": 3},
        processor={"patch_size": 14},
        bos=True,
        image="<|image|>",
    ),
    "mllama": Tiny(
        {
            "vision_config": {
                "image_size": 56,
                "patch_size": 14,
                "num_hidden_layers": 3,
                "num_global_layers": 1,
                "intermediate_layers_indices": [0, 1],
                "vision_output_dim": 96,
            },
            "text_config": {"num_hidden_layers": 3, "cross_attention_layers": [1]},
            "image_token_index": "<|image|>",
        },
        ("<|python_tag|>",),
        {"image_token": "<|image|>"},
        {"size": {"height": 56, "width": 56}},
        bos=True,
        image="<|image|>",
    ),
    "minicpmv4_6": Tiny(
        {"text_config": QWEN3_5_TEXT},
        CHAT,
        MINICPM_NAMED,
        {"scale_resolution": 64, "max_slice_nums": 3, "patch_size": 16},
        parts={"video_processor": "MiniCPMV4_6VideoProcessor"},
        image="<|image_pad|>",
    ),
    "minicpmv4_7": Tiny(
        {"text_config": QWEN3_5_TEXT},
        CHAT,
        MINICPM_NAMED,
        {"scale_resolution": 64, "max_slice_nums": 3, "patch_size": 16},
        parts={"video_processor": "MiniCPMV4_6VideoProcessor"},
        image="<|image_pad|>",
    ),
    "minicpm_ocr": Tiny(
        {"text_config": QWEN3_5_TEXT},
        CHAT,
        MINICPM_NAMED,
        {"patch_size": 16},
        parts={"video_processor": "MiniCPMOcrVideoProcessor"},
        image="<|image_pad|>",
    ),
    "molmo2": Tiny(
        {
            "vision_config": {"image_size": [56, 56], "num_position_embeddings": 16},
            "adapter_config": {"vision_feature_layer": [-1, -2]},
            "image_start_token_id": "<im_start>",
            "low_res_image_start_token_id": "<low_res_im_start>",
            "image_end_token_id": "<im_end>",
            "image_patch_id": "<im_patch>",
            "frame_start_token_id": "<frame_start>",
            "frame_end_token_id": "<frame_end>",
        },
        (
            "<im_patch>",
            "<im_col>",
            "<im_start>",
            "<low_res_im_start>",
            "<frame_start>",
            "<im_end>",
            "<frame_end>",
            "<im_low>",
            "<|image|>",
            "<|video|>",
        ),
        images={"size": {"height": 56, "width": 56}, "max_crops": 3, "overlap_margins": [1, 1]},
        parts={"video_processor": "Molmo2VideoProcessor"},
        image="<|image|>",
    ),
    "muse_glimmer": Tiny(
        {"out_hidden_size": 128, "image_token_id": "<|patch|>", "video_token_id": "<|video|>"},
        MUSE_CONTROL,
        {},
        {"max_image_tokens": 16},
        image="<|patch|>",
        parts={"video_processor": "MuseGlimmerVideoProcessor"},
    ),
    "muse_spark": Tiny(
        {
            "out_hidden_size": 128,
            "image_token_id": "<|patch|>",
            "video_token_id": "<|video|>",
            "audio_token_id": "<|audio|>",
            "audio_config": {"patch_sizes": [4, 2], "hidden_sizes": [8, 16], "depths": [1, 1]},
        },
        MUSE_CONTROL,
        {},
        {"max_image_tokens": 16},
        image="<|patch|>",
        parts={"video_processor": "MuseGlimmerVideoProcessor", "feature_extractor": "MuseSparkFeatureExtractor"},
    ),
    "nemotron_h_omni": Tiny(
        {"vision_config": {"max_img_size": 128, "image_size": 64}},
        ("<so_start>", "<so_end>", "<img>", "</img>"),
        {**IMAGE, "video_token": "<video>", "audio_token": "<so_embedding>"},
        {"min_num_patches": 16, "max_num_patches": 64},
        parts={
            "video_processor": "NemotronH_Omni_Reasoning_V3VideoProcessor",
            "feature_extractor": "WhisperFeatureExtractor",
        },
    ),
    "ovis2": Tiny(
        {
            "vision_config": {**SMALL_VIT, "num_visual_indicator_tokens": 5},
            "image_token_id": "<IMG_ATOM>",
            "visual_indicator_token_ids": ["<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"],
        },
        ("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>", "<IMG_ATOM>"),
        IMAGE,
        {"size": SQUARE, "crop_to_patches": True, "max_patches": 3},
        {"image_seq_length": 4},
    ),
    "qianfan_ocr": Tiny(
        {
            "vision_config": {"image_size": [28, 28], "patch_size": [7, 7]},
            "image_token_id": "<IMG_CONTEXT>",
            "image_seq_length": 4,
        },
        (*CHAT, "<image>"),
        {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"},
        {"size": SQUARE, "crop_to_patches": True, "max_patches": 3},
        {"image_seq_length": 4},
    ),
    "step3p7": Tiny(
        {
            "text_config": {"sliding_window": 16},
            "vision_config": {"image_size": 56, "max_position_embeddings": 64},
            "image_token_id": "<im_patch>",
        },
        ("<im_patch>", "<im_start>", "<im_end>", "<patch_start>", "<patch_end>", "<patch_newline>"),
        images={"size": {"height": 112, "width": 112}, "patch_size": 56},
        image="<im_patch>",
    ),
}
"""By model type; those of `by_hand` are not among them."""

NOT_MADE: dict[str, str] = {
    "diffusion_gemma": "its text is not written from left to right",
    "evolla": "it takes proteins, no images",
    "mistral4": "it takes no images",
    "pi0": "it gives actions, no text",
    "shieldgemma2": "it gives two numbers a policy, no text",
}
"""Types of which no checkpoint is made, with the reason."""
