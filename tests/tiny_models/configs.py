"""A configuration class of transformers with small numbers in place of its publisher's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

WIDTHS = """
hidden_size d_model embed_dim word_embed_proj_dim text_hidden_size out_hidden_size encoder_hidden_size projection_dim
projector_hidden_size projection_hidden_size image_text_hidden_size adapter_in_dim adapter_out_dim output_channels
vision_output_dim projector_input_dim projector_output_dim patch_embed_hidden_size projection_hidden_dim
vision_hidden_size adapter_input_size downsample_hidden_size moe_hidden_size latent_channels image_token_embed_dim
output_dim base_channels
"""
INNER_WIDTHS = """
intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim d_ff mlp_dim dense_intermediate_size
shared_intermediate_size intermediate_size_mlp projection_intermediate_size shared_experts_intermediate_size
"""
EXPERT_WIDTHS = "moe_intermediate_size moe_shared_expert_intermediate_size shared_expert_intermediate_size"
LAYERS = """
num_hidden_layers depth num_layers n_layers layers encoder_layers decoder_layers num_decoder_layers resampler_depth
conf_num_hidden_layers
"""
HEADS = """
num_attention_heads num_heads attention_heads encoder_attention_heads decoder_attention_heads swa_num_attention_heads
resampler_n_heads conf_num_attention_heads linear_num_value_heads linear_num_heads
"""
KEY_HEADS = "num_key_value_heads swa_num_key_value_heads index_n_heads linear_num_key_heads"
HEAD_WIDTHS = """
head_dim swa_head_dim d_kv resampler_head_dim linear_key_head_dim linear_value_head_dim qk_rope_head_dim v_head_dim
qk_nope_head_dim index_head_dim linear_head_dim mamba_head_dim ssm_state_size hidden_size_per_layer_input laurel_rank
d_rel
"""
EXPERTS = "n_routed_experts num_experts num_local_experts moe_num_experts"
FEW = "num_experts_per_tok moe_topk moe_k n_groups"
ONE = "n_group topk_group first_k_dense_replace n_shared_experts moe_num_shared_experts num_res_blocks"

SMALL: dict[str, Any] = {
    **dict.fromkeys(WIDTHS.split(), 32),
    **dict.fromkeys(INNER_WIDTHS.split(), 48),
    **dict.fromkeys(EXPERT_WIDTHS.split(), 16),
    **dict.fromkeys(LAYERS.split(), 2),
    **dict.fromkeys(HEADS.split(), 4),
    **dict.fromkeys(KEY_HEADS.split(), 2),
    **dict.fromkeys(HEAD_WIDTHS.split(), 8),
    **dict.fromkeys(EXPERTS.split(), 4),
    **dict.fromkeys(FEW.split(), 2),
    **dict.fromkeys(ONE.split(), 1),
    **dict.fromkeys(["kv_lora_rank", "q_lora_rank", "chunk_size", "sliding_window", "num_pos_feats"], 16),
    **dict.fromkeys(["num_embeddings", "codebook_size", "num_position_embeddings", "rel_extent"], 64),
    **dict.fromkeys(["pos_emb_height", "pos_emb_width"], 8),
    **dict.fromkeys(["resampler_n_latents", "num_query_tokens", "latent_query_num"], 4),
    "mamba_num_heads": 8,
    "max_position_embeddings": 4096,
    "additional_vocab_size": 0,
    "channel_multiplier": [1, 1],
}
"""What the fields that make a model large become; one name means the same in nearly every configuration."""

FOLLOWS = {
    "layer_types", "mlp_layer_types", "no_rope_layers", "per_layer_config", "full_attn_idxs", "layer_rope_theta",
    "indexer_types", "kv_source_layers", "rope_scaling_layers", "activation_sparsity_pattern", "moe_layers",
    "qk_head_dim", "id2label", "label2id", "layers_block_type", "sliding_window_pattern",
    "transformers_version", "architectures",
}  # fmt: skip
"""Fields that a configuration works out from others when they are not given."""


def small(
    config_class: Any, tokens: Mapping[str, int], changes: Mapping[str, Any], unchanged: Iterable[str] = ()
) -> Any:
    """The class's default configuration made small.

    Args:
        config_class: of a whole model.
        tokens: `vocab_size`, and `pad`, `bos`, `eos` as ids; ids of other tokens by name.
        changes: over the small configuration, parts in parts; a value "<token>" of a field for a token's id is that
            token's id.
        unchanged: fields that keep the publisher's value.

    Returns:
        A configuration whose model takes well under 3 MB.
    """
    described = _with_ids(_merged(_shrunk(config_class().to_dict(), tokens, set(unchanged)), changes), tokens)
    described.pop("model_type", None)
    return config_class(**described)


def _shrunk(described: Mapping[str, Any], tokens: Mapping[str, int], unchanged: set[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in described.items():
        if name in FOLLOWS:
            continue
        stem = name.removesuffix("_id").removesuffix("_index")
        if stem != name and stem.endswith("_token") and stem in tokens:
            made[name] = tokens[stem]
            continue
        if value is None:
            continue
        if name in unchanged:
            made[name] = value
        elif isinstance(value, dict) and "model_type" in value:
            made[name] = _shrunk(value, tokens, unchanged)
        elif name in ("pad_token_id", "bos_token_id", "eos_token_id", "vocab_size"):
            made[name] = tokens[name.removesuffix("_token_id")]
        elif name == "decoder_start_token_id":
            made[name] = tokens["bos"]
        elif name in SMALL and type(value) in (int, list) and value != 0:
            made[name] = SMALL[name]
        else:
            made[name] = value
    return made


def _merged(described: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(described)
    for name, value in changes.items():
        part = made.get(name)
        made[name] = _merged(part, value) if isinstance(value, dict) and isinstance(part, dict) else value
        if value is None and name in made:
            del made[name]
    return made


def _with_ids(described: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
    """Token names in fields for ids become ids."""
    made = {}
    for name, value in described.items():
        if name == "vocabulary_map":
            made[name] = {name: tokens[token] for name, token in value.items()}
        elif isinstance(value, dict) and "rope" not in name and name != "per_layer_config":
            made[name] = _with_ids(value, tokens)
        elif isinstance(value, str) and name.endswith(("_id", "_index")):
            made[name] = tokens[value]
        elif isinstance(value, list) and name.endswith("_ids"):
            made[name] = [tokens[item] for item in value]
        else:
            made[name] = value
    return made
