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
    return model.eval()
