#include "test/unit/kernels/mutation/launches.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

namespace moec::test {
namespace {

/// Of "2x?x16xf32": the sizes as they are written, and the element type.
std::pair<std::vector<std::string>, std::string> partsOf(llvm::StringRef type) {
  std::vector<std::string> sizes;
  while (type.front() == '?' || llvm::isDigit(type.front())) {
    auto [size, rest] = type.split('x');
    sizes.push_back(size.str());
    type = rest;
  }
  return {sizes, type.str()};
}

std::string tensorOf(std::vector<std::string> sizes, const std::string &element) {
  return "tensor<" + llvm::join(sizes, "x") + "x" + element + ">";
}

} // namespace

std::string onSlices(std::string text, const std::string &name) {
  const std::string before = "%" + name + ": tensor<";
  size_t at = text.find(before), begin = at + before.size(), end = text.find('>', begin);
  if (at == std::string::npos)
    return "";
  auto [sizes, element] = partsOf(llvm::StringRef(text).slice(begin, end));
  std::vector<std::string> larger = sizes, offsets(sizes.size(), "0"), steps(sizes.size(), "1");
  larger.back() = std::to_string(std::stoll(sizes.back()) + 1);
  offsets.back() = "1";
  std::string given = tensorOf(sizes, element), whole = tensorOf(larger, element), slice = "\n";
  for (size_t dim = 0; dim < sizes.size(); ++dim)
    if (sizes[dim] == "?") {
      sizes[dim] = llvm::formatv("%{0}_size{1}", name, dim);
      slice += llvm::formatv("%{0}_dim{1} = arith.constant {1} : index\n"
                             "{2} = tensor.dim %{0}_whole, %{0}_dim{1} : {3}\n",
                             name, dim, sizes[dim], whole);
    }
  slice += llvm::formatv("%{0} = tensor.extract_slice %{0}_whole[{1}] [{2}] [{3}] : {4} to {5}",
                         name, llvm::join(offsets, ", "), llvm::join(sizes, ", "),
                         llvm::join(steps, ", "), whole, given);
  text.insert(text.find("{\n", end) + 1, slice);
  return text.replace(at, end + 1 - at, "%" + name + "_whole: " + whole);
}

Array beforeSlicing(const Array &rows) {
  Array larger = rows;
  int64_t width = larger.shape.back()++;
  for (int64_t row = rows.count() / width; row-- > 0;)
    larger.values.insert(larger.values.begin() + row * width, -1);
  return larger;
}

void launch(const std::string &text, const std::vector<std::vector<Array>> &inputs) {
  DeviceProgram program(text, testedCudaChip());
  ASSERT_TRUE(program.valid()) << text;
  for (const std::vector<Array> &each : inputs)
    EXPECT_FALSE(program.run(each).empty());
}

void launchOnSlices(const std::string &text, const std::string &name, size_t number,
                    std::vector<std::vector<Array>> inputs) {
  for (std::vector<Array> &each : inputs)
    each[number] = beforeSlicing(each[number]);
  launch(onSlices(text, name), inputs);
}

void launchSliced(const std::string &text, const std::string &name, size_t number,
                  const std::vector<std::vector<Array>> &inputs) {
  launch(text, inputs);
  launchOnSlices(text, name, number, inputs);
}

} // namespace moec::test
