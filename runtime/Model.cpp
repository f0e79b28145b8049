#include "runtime/Model.h"

#include "runtime/CpuFeatures.h"
#include "runtime/devices/Device.h"

#include <unistd.h>

namespace moec::runtime {

std::string weightsPath(const std::string &artifact, const std::string &name) {
  size_t folder = artifact.find_last_of('/') + 1;
  if (std::string named = artifact.substr(0, folder) + name;
      !name.empty() && access(named.c_str(), F_OK) == 0)
    return named;
  size_t dot = artifact.find_last_of('.');
  bool hasExtension = dot != std::string::npos && dot > folder;
  return artifact.substr(0, hasExtension ? dot : artifact.size()) + ".safetensors";
}

Model::Model() = default;
Model::~Model() = default;

Status Model::load(const std::string &path, const moec_model_options &options,
                   std::shared_ptr<const Model> &result) {
  Artifact artifact;
  if (Status error = artifact.read(path))
    return error;
  auto model = std::make_shared<Model>();
  if (Status error = model->describe(artifact.part(MOEC_PART_METADATA), options))
    return error;
  if (Status error = model->code.load(artifact.part(MOEC_PART_HOST_CODE), path))
    return error;
  using Accessor = const moec_module_v1 *();
  auto *accessor = reinterpret_cast<Accessor *>(model->code.find(MOEC_ARTIFACT_ENTRY));
  if (!accessor)
    return failure(MOEC_DAMAGED, "the code of '%s' does not export " MOEC_ARTIFACT_ENTRY,
                   path.c_str());
  if (Status error = model->adopt(accessor()))
    return error;
  const WeightsInfo &weights = model->metadata_.weights;
  if (Status error = model->loadParts(weightsPath(path, weights.file),
                                      artifact.part(MOEC_PART_DEVICE_CODE), options))
    return error;
  result = std::move(model);
  return {};
}

Status Model::link(const moec_module_v1 &module, const char *weightsPath,
                   const moec_model_options &options, std::shared_ptr<const Model> &result) {
  auto model = std::make_shared<Model>();
  if (Status error = model->adopt(&module))
    return error;
  if (Status error = model->describe(module.metadata, options))
    return error;
  if (!weightsPath && !model->metadata_.weights.slots.empty())
    return failure(MOEC_INVALID_ARGUMENT, "the module has weights, but no weights file is given");
  if (Status error = model->loadParts(weightsPath ? weightsPath : "", {}, options))
    return error;
  result = std::move(model);
  return {};
}

Status Model::describe(std::string_view json, const moec_model_options &options) {
  text = json;
  if (Status error = parseMetadata(json, metadata_))
    return error;
  device_ = options.device ? options.device : metadata_.target;
  if (device_ != metadata_.target)
    return failure(MOEC_INCOMPATIBLE, "compiled for device '%s', not for '%s'",
                   metadata_.target.c_str(), device_.c_str());
  if (Status error = checkDevice(device_))
    return error;
  return checkCpuFeatures(metadata_.chip, metadata_.features);
}

Status Model::adopt(const moec_module_v1 *module) {
  if (module->abi_version != MOEC_ABI_VERSION)
    return failure(MOEC_INCOMPATIBLE, "the module has ABI version %u, but this runtime has %u",
                   module->abi_version, MOEC_ABI_VERSION);
  if (!module->metadata || !module->entry)
    return failure(MOEC_DAMAGED, "the module lacks metadata or entry");
  module_ = module;
  return {};
}

Status Model::loadParts(const std::string &weightsPath, std::string_view code,
                        const moec_model_options &options) {
  if (module_->kernel_count != metadata_.kernels.size())
    return failure(MOEC_DAMAGED, "the module has %u kernels, but its metadata lists %zu",
                   module_->kernel_count, metadata_.kernels.size());
  if (!metadata_.weights.slots.empty())
    if (Status error = weights_.load(weightsPath, metadata_.weights, options.weights_memory,
                                     options.verify_weights))
      return error;
  return loadProgram(*this, code, weights_, program_);
}

} // namespace moec::runtime
