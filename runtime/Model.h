//===- Model.h - code and weights, shared by sessions ----------------------===//
#pragma once

#include "runtime/Artifact.h"
#include "runtime/Weights.h"

#include <memory>

namespace moec::runtime {

/// The weights file of an artifact: what its metadata names, beside it; an
/// artifact that was renamed together with its weights finds them by its own
/// name.
std::string weightsPath(const std::string &artifact, const std::string &name);

class Program;

class Model {
public:
  Model();
  ~Model();
  static Status load(const std::string &path, const moec_model_options &options,
                     std::shared_ptr<const Model> &model);
  static Status link(const moec_module_v1 &module, const char *weightsPath,
                     const moec_model_options &options, std::shared_ptr<const Model> &model);

  const moec_module_v1 &module() const { return *module_; }
  const Metadata &metadata() const { return metadata_; }
  const std::string &metadataText() const { return text; }
  const Weights &weights() const { return weights_; }
  const std::string &device() const { return device_; }
  /// The model on its device.
  const Program &program() const { return *program_; }

private:
  /// Reads the metadata and refuses what this machine cannot execute.
  Status describe(std::string_view json, const moec_model_options &options);
  Status adopt(const moec_module_v1 *module);
  /// Loads weights and kernels; `code` is the device's.
  Status loadParts(const std::string &weightsPath, std::string_view code,
                   const moec_model_options &options);

  SharedObject code;
  const moec_module_v1 *module_ = nullptr;
  std::string text, device_;
  Metadata metadata_;
  Weights weights_;
  std::unique_ptr<Program> program_;
};

} // namespace moec::runtime

struct moec_model {
  std::shared_ptr<const moec::runtime::Model> shared;
};
