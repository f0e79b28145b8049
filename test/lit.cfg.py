import os
import shutil
import sys

import lit.formats

config.name = "moec"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "models", "unit", "e2e"]
config.test_source_root = os.path.join(config.moec_source_dir, "test")
config.test_exec_root = os.path.join(config.moec_binary_dir, "test")
config.environment["PATH"] = os.path.pathsep.join(
    [os.path.join(config.moec_binary_dir, "bin"), config.llvm_tools_dir, config.environment["PATH"]]
)
config.substitutions.append(("%models", os.path.join(config.test_source_root, "models")))
config.substitutions.append(("%cc", config.cc))
config.substitutions.append(("%cflags", config.cflags))
config.substitutions.append(("%build", config.moec_binary_dir))
config.substitutions.append(("%sources", config.moec_source_dir))
config.substitutions.append(("%python", sys.executable))
# CUDA's assembler is no part of what moec needs.
if shutil.which("ptxas"):
    config.available_features.add("ptxas")
if "-fsanitize" in config.cflags:
    config.available_features.add("sanitizers")
# Of the model whose memory is measured: 4300 is one with a tensor of 2 GiB.
config.substitutions.append(("%megabytes", os.environ.get("MOEC_TEST_MEGABYTES", "600")))
# Models are written as text: %encode-onnx < TEXT > MODEL.onnx
schema = os.path.join(config.test_source_root, "lib/import/Inputs/onnx.proto")
config.substitutions.append(
    ("%encode-onnx", f"protoc --encode=onnx.ModelProto -I {os.path.dirname(schema)} {schema}")
)
