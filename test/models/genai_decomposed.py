"""onnxruntime-genai's model builder, with gpt-oss experts in single operators.

Takes the builder's options.  The builder writes this form only for DirectML,
where its files are invalid; here it is asked for it on any provider.  It still
expects the experts' weights output-major, as transformers 4 stored them.
"""

import runpy

import onnxruntime_genai.models  # makes the builder's own modules importable
import torch
from builders.gptoss import GPTOSSModel


def make_moe(self, layer_id, moe, root_input):
    for part in ("gate_up_proj", "down_proj"):
        weight = getattr(moe.experts, part).detach()
        setattr(moe.experts, part, torch.nn.Parameter(weight.transpose(1, 2).contiguous()))
    self.make_moe_decomposed(layer_id, moe, root_input)


GPTOSSModel.make_moe = make_moe
runpy.run_module(f"{onnxruntime_genai.models.__name__}.builder", run_name="__main__")
