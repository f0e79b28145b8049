"""Tiny randomly initialised checkpoints of real model families."""

import torch
import transformers

SHAPE = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 150000.0,
    "factor": 32.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "truncate": False,
    "original_max_position_embeddings": 4096,
}

FAMILIES = {
    "mixtral": (transformers.MixtralConfig, {"num_local_experts": 4, "sliding_window": None}),
    "qwen3-moe": (
        transformers.Qwen3MoeConfig,
        {"num_experts": 4, "moe_intermediate_size": 32, "norm_topk_prob": True},
    ),
    # Two of four groups of two experts stay in the race; the first layer is dense.
    "deepseek-v3": (
        transformers.DeepseekV3Config,
        {
            "num_key_value_heads": 4,
            "q_lora_rank": 24,
            "kv_lora_rank": 32,
            "qk_nope_head_dim": 16,
            "qk_rope_head_dim": 8,
            "v_head_dim": 16,
            "head_dim": 8,
            "n_routed_experts": 8,
            "moe_intermediate_size": 32,
            "n_group": 4,
            "topk_group": 2,
            "n_shared_experts": 1,
            "first_k_dense_replace": 1,
        },
    ),
    "qwen2-moe": (
        transformers.Qwen2MoeConfig,
        {
            "num_experts": 4,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 48,
            "norm_topk_prob": False,
        },
    ),
    "granite-moe": (
        transformers.GraniteMoeConfig,
        {
            "num_local_experts": 4,
            "embedding_multiplier": 2.0,
            "attention_multiplier": 0.2,
            "residual_multiplier": 0.5,
            "logits_scaling": 4.0,
        },
    ),
    "phi-moe": (transformers.PhimoeConfig, {"num_local_experts": 4, "sliding_window": None}),
    # The window is shorter than the test prompts, so that it matters.
    "gpt-oss": (
        transformers.GptOssConfig,
        {"num_local_experts": 4, "sliding_window": 4, "rope_parameters": YARN},
    ),
}


@torch.no_grad()
def checkpoint(family, **changes):
    """A float32 model whose every parameter, biases and norm weights too, is random.

    `changes` replace values of the configuration.
    """
    torch.manual_seed(0)
    config_class, special = FAMILIES[family]
    config = config_class(**{**SHAPE, **special, **changes})
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for name, parameter in model.named_parameters():
        centre = 1.0 if "norm" in name else 0.0
        spread = 0.2 if parameter.ndim == 1 or "bias" in name else parameter.shape[-1] ** -0.5
        parameter.copy_(centre + spread * torch.randn(parameter.shape))
    model.get_input_embeddings().weight.mul_(8.0)
    for name, buffer in model.named_buffers():
        if name.endswith("correction_bias"):
            buffer.copy_(0.2 * torch.randn(buffer.shape))
    return model.eval()
