#include "toy_files.h"

#include "moec/artifact.h"
#include "runtime/Sha256.h"
#include "toy.h"

#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <unistd.h>

using namespace moec::runtime;

std::string ToyFiles::describeCode(const std::string &kind, size_t offset, size_t length) {
  std::string geometry = R"({"threads": 32, "indices": 32, "shared": 0})";
  return R"({"chip": "sm_80", "kind": ")" + kind + R"(", "offset": )" + std::to_string(offset) +
         R"(, "length": )" + std::to_string(length) + R"(, "geometry": [)" + geometry + ", " +
         geometry + ", " + geometry + "]}";
}

ToyFiles::ToyFiles(const std::string &target) {
  std::string name = (std::filesystem::temp_directory_path() / "moec-toy-XXXXXX").string();
  folder = mkdtemp(name.data());
  std::string header = R"({"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})";
  header.resize(120, ' ');
  uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  file += header;
  std::string data(reinterpret_cast<const char *>(kScale), sizeof kScale);
  if (target == "cuda")
    deviceCode = readAll(TOY_PTX);
  text =
      R"({"moec": 1, "target": ")" + target + R"(", "chip": {"name": "any", "features": []},
 "inputs": [{"name": "x", "type": 1, "dims": ["batch", "rows", 4]},
            {"name": "past", "type": 1, "dims": ["batch", 2, "past", 4]}],
 "outputs": [{"name": "sum", "type": 1, "dims": ["batch", "rows", 4]},
             {"name": "present", "type": 1, "dims": ["batch", 2, null, 4]}],
 "states": [{"input": 1, "output": 1, "axis": 2}],
 "kernels": ["scale", "append", "sum"],
 "sites": [{"kernel": 0, "name": "/toy/Mul", "op": "mul"},
           {"kernel": 1, "name": "/toy/\"Concat\"", "op": "attn.cache_append"},
           {"kernel": 2, "name": "/toy/CumSum", "op": "sum",
            "tokens_per_expert": {"word": 9, "experts": 2}}],
 "messages": ["value too large", "needs at least one row"],
 )" +
      (deviceCode.empty()
           ? ""
           : R"("device_code": [)" + describeCode("ptx", 0, deviceCode.size()) + "],\n ") +
      R"("weights": {"file": "toy.safetensors", "length": 144, "header_bytes": 128, "header_sha256": ")" +
      toHex(sha256(file.data(), file.size())) +
      R"(", "slots": [{"name": "w", "offset": 128, "bytes": 16, "sha256": ")" +
      toHex(sha256(data.data(), data.size())) + R"("}]},
 "plan": {"arena": [{"bytes": 16, "times": ["batch", "rows"]}], "heap_buffers": 2, "reads": 0}})";
  writeAll(weights(), file + data);
  writeArtifact(text);
}

std::string ToyFiles::metadata(const std::string &from, const std::string &to) const {
  std::string result = text;
  if (size_t at = result.find(from); at != std::string::npos)
    result.replace(at, from.size(), to);
  return result;
}

void ToyFiles::writeArtifact(const std::string &metadata) const {
  writeArtifact(metadata, deviceCode);
}

void ToyFiles::writeArtifact(const std::string &metadata, const std::string &deviceCode) const {
  writeAll(artifact(), assembleArtifact(metadata, readAll(TOY_SHARED_OBJECT), deviceCode));
}

moec_module_v1 ToyFiles::module() const {
  moec_module_v1 result = *moec_module();
  result.metadata = text.c_str();
  return result;
}

std::string assembleArtifact(const std::string &metadata, const std::string &hostCode,
                             const std::string &deviceCode) {
  moec_artifact_header header{};
  std::memcpy(header.magic, MOEC_ARTIFACT_MAGIC, sizeof header.magic);
  header.abi_version = MOEC_ABI_VERSION;
  header.header_bytes = sizeof header;
  std::strcpy(header.target, deviceCode.empty() ? "cpu" : "cuda");
  std::strcpy(header.chip, "any");
  header.parts[MOEC_PART_METADATA] = {sizeof header, metadata.size()};
  header.parts[MOEC_PART_HOST_CODE] = {sizeof header + metadata.size(), hostCode.size()};
  uint64_t device = sizeof header + metadata.size() + hostCode.size();
  header.parts[MOEC_PART_DEVICE_CODE] = {device, deviceCode.size()};
  header.length = device + deviceCode.size();
  std::string file(reinterpret_cast<const char *>(&header), sizeof header);
  file += metadata + hostCode + deviceCode;
  constexpr size_t kDigested = offsetof(moec_artifact_header, length);
  Sha256::Digest digest = sha256(file.data() + kDigested, file.size() - kDigested);
  std::copy(digest.begin(), digest.end(), file.begin() + offsetof(moec_artifact_header, digest));
  return file;
}

std::string readAll(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void writeAll(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), bytes.size());
}

std::vector<float> toyInput(int64_t batch, int64_t rows, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> x(batch * rows * 4);
  for (float &value : x)
    value = std::uniform_real_distribution<float>(-1, 1)(random);
  return x;
}

std::vector<float> toySums(const std::vector<float> &x, int64_t batch, int64_t rows) {
  std::vector<float> sums(x.size());
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t c = 0; c < 4; ++c) {
      float total = 0;
      for (int64_t row = 0; row < rows; ++row) {
        int64_t i = (b * rows + row) * 4 + c;
        total += x[i] * ToyFiles::kScale[c];
        sums[i] = total;
      }
    }
  return sums;
}

moec_tensor tensorOf(std::vector<float> &data, std::vector<int64_t> sizes) {
  moec_tensor tensor{};
  tensor.data = data.data();
  tensor.type = MOEC_F32;
  tensor.rank = static_cast<int32_t>(sizes.size());
  std::copy(sizes.begin(), sizes.end(), tensor.sizes);
  tensor.bytes = data.size() * sizeof(float);
  return tensor;
}

std::vector<float> contents(const moec_tensor &tensor) {
  std::vector<float> result;
  std::function<void(int, int64_t)> visit = [&](int dim, int64_t offset) {
    if (dim == tensor.rank)
      return result.push_back(static_cast<const float *>(tensor.data)[offset]);
    for (int64_t i = 0; i < tensor.sizes[dim]; ++i)
      visit(dim + 1, offset + i * tensor.strides[dim]);
  };
  visit(0, 0);
  return result;
}
