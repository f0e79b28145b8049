"""The demo model: a byte-level MoE decoder, written for training and reference.

Exactly the mathematics of the operators that export_demo.py writes: RMS norm,
grouped-query attention with half-rotated RoPE, top-2 softmax routing with
renormalised weights, SwiGLU experts whose gate and linear rows interleave.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Config:
    vocab: int = 256
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 32
    experts: int = 8
    top_k: int = 2
    expert_width: int = 128
    max_positions: int = 1024
    rope_base: float = 10000.0
    epsilon: float = 1e-5


def rope_tables(config, dtype=torch.float64):
    """cos and sin, each [max_positions, head_size / 2], rounded once to float32."""
    half = config.head_size // 2
    inverse = config.rope_base ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(config.max_positions, dtype=torch.float64)[:, None] * inverse
    return angles.cos().float().to(dtype), angles.sin().float().to(dtype)


def matrix(*shape):
    """A weight [..., outputs, inputs] with the usual fan-in scale."""
    return nn.Parameter(torch.randn(*shape) * shape[-1] ** -0.5)


class RMSNorm(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.hidden))
        self.epsilon = config.epsilon

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weight


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        query, key = config.heads * config.head_size, config.kv_heads * config.head_size
        self.qkv = matrix(query + 2 * key, config.hidden)
        self.out = matrix(config.hidden, query)

    def forward(self, x, cos, sin):
        c = self.config
        batch, length, _ = x.shape
        packed = (x @ self.qkv.T).view(batch, length, -1, c.head_size).transpose(1, 2)
        q, k, v = packed.split((c.heads, c.kv_heads, c.kv_heads), dim=1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return y.transpose(1, 2).reshape(batch, length, -1) @ self.out.T


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Experts(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.router = matrix(config.experts, config.hidden)
        self.fc1 = matrix(config.experts, 2 * config.expert_width, config.hidden)
        self.fc2 = matrix(config.experts, config.hidden, config.expert_width)

    def forward(self, x):
        """(y, balance): balance is the load-balancing loss, 1 when perfectly even."""
        c = self.config
        tokens = x.reshape(-1, c.hidden)
        probabilities = (tokens @ self.router.T).softmax(-1)
        weights, ids = probabilities.topk(c.top_k, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        counts = torch.bincount(ids.flatten(), minlength=c.experts)
        balance = c.experts * (counts / ids.numel() * probabilities.mean(0)).sum()

        slots = ids.flatten().argsort(stable=True)
        owner = slots // c.top_k
        groups = tokens[owner].split(counts.tolist())
        outputs = [self.expert(e, group) for e, group in enumerate(groups)]
        scaled = torch.cat(outputs) * weights.flatten()[slots, None]
        return torch.zeros_like(tokens).index_add(0, owner, scaled).view_as(x), balance

    def expert(self, e, x):
        gate, linear = (x @ self.fc1[e].T).view(len(x), self.config.expert_width, 2).unbind(-1)
        return (F.silu(gate) * linear) @ self.fc2[e].T


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention_norm = RMSNorm(config)
        self.attention = Attention(config)
        self.experts_norm = RMSNorm(config)
        self.experts = Experts(config)

    def forward(self, x, cos, sin):
        x = x + self.attention(self.attention_norm(x), cos, sin)
        y, balance = self.experts(self.experts_norm(x))
        return x + y, balance


class DemoModel(nn.Module):
    def __init__(self, config=Config()):
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.vocab, config.hidden) * 0.5)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config)
        self.head = matrix(config.vocab, config.hidden)

    def forward(self, ids):
        """int64 [batch, length] -> (logits [batch, length, vocab], mean balance)."""
        x = self.embedding[ids]
        cos, sin = (t[: ids.shape[1]] for t in rope_tables(self.config, x.dtype))
        balances = []
        for layer in self.layers:
            x, balance = layer(x, cos, sin)
            balances.append(balance)
        return self.norm(x) @ self.head.T, torch.stack(balances).mean()


def load(path):
    """The trained model, its float32 weights widened to float64."""
    model = DemoModel()
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.double().eval()
