//===- toy_files.h - artifact and weights of the module in toy.c -----------===//
#pragma once

#include "moec/runtime.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

/// A folder with toy.moec, for "cpu" or "cuda", and toy.safetensors that is removed
/// at the end.
class ToyFiles {
public:
  explicit ToyFiles(const std::string &target = "cpu");
  ~ToyFiles() { std::filesystem::remove_all(folder); }

  std::string artifact() const { return (folder / "toy.moec").string(); }
  std::string weights() const { return (folder / "toy.safetensors").string(); }
  std::string path(const std::string &name) const { return (folder / name).string(); }

  /// The metadata, in which `from` is replaced by `to`.
  std::string metadata(const std::string &from = "", const std::string &to = "") const;
  /// Writes the artifact again, with other metadata.
  void writeArtifact(const std::string &metadata) const;
  /// The same, with other code for the device, too.
  void writeArtifact(const std::string &metadata, const std::string &deviceCode) const;
  /// An entry of the metadata for code with the toy's kernels.
  static std::string describeCode(const std::string &kind, size_t offset, size_t length);
  /// The kernels for a GPU; empty where the target is "cpu".
  const std::string &ptx() const { return deviceCode; }
  /// The module linked into the test, with this metadata.
  moec_module_v1 module() const;

  static constexpr float kScale[4] = {1, 2, 0.5f, -1};

private:
  std::filesystem::path folder;
  std::string text, deviceCode;
};

/// The bytes of an artifact for any CPU, or for any GPU that has code.
std::string assembleArtifact(const std::string &metadata, const std::string &hostCode,
                             const std::string &deviceCode = "");

std::string readAll(const std::string &path);
void writeAll(const std::string &path, const std::string &bytes);

/// What the toy computes: the sums and presents of `x` [batch, rows, 4] when
/// nothing came before.
std::vector<float> toySums(const std::vector<float> &x, int64_t batch, int64_t rows);
/// Values without pattern, [batch, rows, 4].
std::vector<float> toyInput(int64_t batch, int64_t rows, unsigned seed = 1);
moec_tensor tensorOf(std::vector<float> &data, std::vector<int64_t> sizes);
/// The elements of a returned tensor, which may be strided, in order.
std::vector<float> contents(const moec_tensor &tensor);
