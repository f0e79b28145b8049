#include "test/unit/dialects/program.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "moec/InitAll.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/JSON.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <csetjmp>
#include <cstring>
#include <fstream>
#include <list>

/// Outputs and arena are bytes here; the heap is the arena's kind of memory.
struct moec_call {
  const moec_module_v1 *module;
  const std::vector<int> &kernelOfSite;
  std::vector<moec_view> outputs;
  std::vector<moec_element_type> outputTypes;
  std::vector<int> ranks;
  std::list<std::vector<char>> memory;
  int64_t split;
  /// Where output 0 belongs; null: in memory of its own.
  char *shared;
  std::jmp_buf exit;
};

namespace moec::test {
namespace {

size_t bytesOf(moec_element_type type) {
  switch (type) {
  case MOEC_F64:
  case MOEC_I64:
    return 8;
  case MOEC_F32:
  case MOEC_I32:
    return 4;
  case MOEC_F16:
  case MOEC_BF16:
    return 2;
  default:
    return 1;
  }
}

const llvm::fltSemantics &semanticsOf(moec_element_type type) {
  return type == MOEC_F16 ? llvm::APFloat::IEEEhalf() : llvm::APFloat::BFloat();
}

template <typename T> void storeAs(double value, char *to) {
  T stored = static_cast<T>(value);
  std::memcpy(to, &stored, sizeof(T));
}

template <typename T> double loadAs(const char *from) {
  T stored;
  std::memcpy(&stored, from, sizeof(T));
  return stored;
}

void store(moec_element_type type, double value, char *to) {
  switch (type) {
  case MOEC_F64:
    return storeAs<double>(value, to);
  case MOEC_F32:
    return storeAs<float>(value, to);
  case MOEC_I64:
    return storeAs<int64_t>(value, to);
  case MOEC_I32:
    return storeAs<int32_t>(value, to);
  case MOEC_F16:
  case MOEC_BF16: {
    llvm::APFloat narrow(value);
    bool losesInfo;
    narrow.convert(semanticsOf(type), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
    return storeAs<uint16_t>(narrow.bitcastToAPInt().getZExtValue(), to);
  }
  default:
    return storeAs<uint8_t>(static_cast<int64_t>(value), to);
  }
}

double load(moec_element_type type, const char *from) {
  switch (type) {
  case MOEC_F64:
    return loadAs<double>(from);
  case MOEC_F32:
    return loadAs<float>(from);
  case MOEC_I64:
    return loadAs<int64_t>(from);
  case MOEC_I32:
    return loadAs<int32_t>(from);
  case MOEC_F16:
  case MOEC_BF16: {
    llvm::APFloat narrow(semanticsOf(type),
                         llvm::APInt(16, static_cast<uint64_t>(loadAs<uint16_t>(from))));
    return narrow.convertToDouble();
  }
  default:
    return loadAs<uint8_t>(from);
  }
}

moec_element_type elementType(mlir::Type type) {
  if (type.isF64())
    return MOEC_F64;
  if (type.isF16())
    return MOEC_F16;
  if (type.isBF16())
    return MOEC_BF16;
  if (type.isInteger(64))
    return MOEC_I64;
  if (type.isInteger(32))
    return MOEC_I32;
  if (type.isInteger(8))
    return MOEC_U8;
  return type.isInteger(1) ? MOEC_BOOL : MOEC_F32;
}

/// Memory that a program must not rely on: it starts as NaNs.
void *grow(moec_call *call, int64_t bytes) {
  return call->memory.emplace_back(bytes + 64, '\xff').data();
}

void output(moec_call *call, int32_t index, const int64_t *sizes, moec_view *view) {
  int64_t stride = 1;
  for (int dim = call->ranks[index] - 1; dim >= 0; --dim) {
    view->sizes[dim] = sizes[dim];
    view->strides[dim] = stride;
    stride *= sizes[dim];
  }
  view->data = index == 0 && call->shared ? call->shared
                                          : grow(call, stride * bytesOf(call->outputTypes[index]));
  call->outputs[index] = *view;
}

[[noreturn]] void fail(moec_call *call, int32_t /*message*/) { std::longjmp(call->exit, 1); }

void launch(moec_call *call, int32_t site, uint64_t *arguments, int64_t, int64_t grid) {
  int32_t status = 0;
  arguments[0] = reinterpret_cast<uint64_t>(&status);
  for (int64_t begin = 0; begin < grid; begin += call->split)
    call->module->kernels[call->kernelOfSite[site]](arguments, begin,
                                                    std::min(begin + call->split, grid));
  if (status)
    fail(call, status - 1);
}

} // namespace

int64_t Array::count() const {
  int64_t product = 1;
  for (int64_t size : shape)
    product *= size;
  return product;
}

double &Array::at(std::initializer_list<int64_t> indices) {
  int64_t offset = 0, dim = 0;
  for (int64_t index : indices)
    offset = offset * shape[dim++] + index;
  return values[offset];
}

double Array::at(std::initializer_list<int64_t> indices) const {
  return const_cast<Array *>(this)->at(indices);
}

Array array(std::vector<int64_t> shape, std::vector<double> values, moec_element_type type) {
  char bytes[8];
  for (double &value : values) {
    store(type, value, bytes);
    value = load(type, bytes);
  }
  return {type, std::move(shape), std::move(values)};
}

Array zeros(std::vector<int64_t> shape, moec_element_type type) {
  Array result{type, std::move(shape), {}};
  result.values.resize(result.count());
  return result;
}

Array randomArray(std::mt19937 &random, std::vector<int64_t> shape, moec_element_type type,
                  double deviation) {
  Array result = zeros(shape, type);
  std::normal_distribution<double> normal(0, deviation);
  for (double &value : result.values)
    value = normal(random);
  return array(shape, result.values, type);
}

Array randomIntegers(std::mt19937 &random, std::vector<int64_t> shape, int64_t low, int64_t high,
                     moec_element_type type) {
  Array result = zeros(std::move(shape), type);
  std::uniform_int_distribution<int64_t> uniform(low, high);
  for (double &value : result.values)
    value = uniform(random);
  return result;
}

std::vector<char> toBytes(const Array &array) {
  size_t width = bytesOf(array.type);
  std::vector<char> bytes(array.values.size() * width + 1);
  for (size_t i = 0; i < array.values.size(); ++i)
    store(array.type, array.values[i], bytes.data() + i * width);
  return bytes;
}

Array fromBytes(const void *bytes, std::vector<int64_t> shape, moec_element_type type) {
  Array result = zeros(std::move(shape), type);
  for (size_t i = 0; i < result.values.size(); ++i)
    result.values[i] = load(type, static_cast<const char *>(bytes) + i * bytesOf(type));
  return result;
}

std::string typeOf(const Array &x, const std::string &element) {
  std::string type = "tensor<";
  for (int64_t size : x.shape)
    type += std::to_string(size) + "x";
  return type + element + ">";
}

std::string denseOf(const Array &x, const std::string &element) {
  size_t next = 0;
  std::function<std::string(size_t)> list = [&](size_t dim) -> std::string {
    if (dim == x.shape.size()) {
      double value = x.values[next++];
      return element[0] == 'f' ? std::to_string(value)
                               : std::to_string(static_cast<int64_t>(value));
    }
    std::string text = "[";
    for (int64_t i = 0; i < x.shape[dim]; ++i)
      text += (i ? ", " : "") + list(dim + 1);
    return text + "]";
  };
  std::string values = list(0);
  return "dense<" + values + "> : " + typeOf(x, element);
}

Program::Program(const std::string &source, const std::string &passes, const std::string &chip) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  context.appendDialectRegistry(registry);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(source, &context);
  if (!module)
    return;
  auto main = module->lookupSymbol<mlir::func::FuncOp>("main");
  for (mlir::Type type : main.getResultTypes()) {
    auto shaped = mlir::cast<mlir::ShapedType>(type);
    outputTypes.push_back(elementType(shaped.getElementType()));
    outputRanks.push_back(shaped.getRank());
  }
  static const bool registered = (registerAllPasses(), true);
  mlir::PassManager pm(&context);
  if (!registered || failed(mlir::parsePassPipeline(passes, pm)) || failed(pm.run(*module)))
    return;
  CompileOptions options;
  options.chip = chip;
  model = compileInProcess(*module, options);
  if (!model)
    return;
  auto metadata = llvm::cantFail(llvm::json::parse(model->module()->metadata));
  for (const llvm::json::Value &site : *metadata.getAsObject()->getArray("sites"))
    kernelOfSite.push_back(*site.getAsObject()->getInteger("kernel"));
  loadWeights(*metadata.getAsObject());
}

void Program::loadWeights(const llvm::json::Object &metadata) {
  const llvm::json::Object *description = metadata.getObject("weights");
  if (!description)
    return;
  std::ifstream file(model->weights(), std::ios::binary);
  file.seekg(0, std::ios::end);
  // Words are as aligned as any element.
  weights.resize(llvm::divideCeil(static_cast<size_t>(file.tellg()), sizeof(uint64_t)));
  file.seekg(0);
  file.read(reinterpret_cast<char *>(weights.data()), weights.size() * sizeof(uint64_t));
  for (const llvm::json::Value &slot : *description->getArray("slots"))
    slots.push_back(reinterpret_cast<char *>(weights.data()) +
                    *slot.getAsObject()->getInteger("offset"));
}

std::vector<Array> Program::run(const std::vector<Array> &inputs, int64_t split,
                                std::optional<Room> room) {
  static const moec_services services = {grow, grow,   [](moec_call *, void *) {}, output, launch,
                                         fail, nullptr};
  std::vector<std::vector<char>> storage;
  std::vector<moec_view> views;
  for (auto [number, input] : llvm::enumerate(inputs)) {
    size_t width = bytesOf(input.type), rank = input.shape.size(), elements = 1;
    std::vector<int64_t> strides(rank);
    for (size_t dim = rank; dim-- > 0;) {
      strides[dim] = elements;
      bool hasRoom = room && room->input == number && room->dim == dim;
      elements *= hasRoom ? room->size : input.shape[dim];
    }
    // What there is room for is not zero before.
    std::vector<char> &bytes = storage.emplace_back(elements * width + 1, 0x55);
    for (size_t i = 0; i < input.values.size(); ++i) {
      size_t rest = i, place = 0;
      for (size_t dim = rank; dim-- > 0; rest /= input.shape[dim])
        place += rest % input.shape[dim] * strides[dim];
      store(input.type, input.values[i], bytes.data() + place * width);
    }
    moec_view &view = views.emplace_back(moec_view{bytes.data(), {}, {}});
    llvm::copy(input.shape, view.sizes);
    llvm::copy(strides, view.strides);
  }
  moec_call call{model->module(),
                 kernelOfSite,
                 std::vector<moec_view>(outputTypes.size()),
                 outputTypes,
                 outputRanks,
                 {},
                 split,
                 room ? storage[room->input].data() : nullptr,
                 {}};
  if (setjmp(call.exit) != 0)
    return {};
  model->module()->entry(&call, &services, views.data(), slots.data());

  std::vector<Array> results;
  for (auto [index, view] : llvm::enumerate(call.outputs))
    results.push_back(fromBytes(view.data,
                                std::vector<int64_t>(view.sizes, view.sizes + outputRanks[index]),
                                outputTypes[index]));
  return results;
}

double difference(const Array &actual, const Array &expected) {
  if (actual.shape != expected.shape)
    return INFINITY;
  double worst = 0;
  for (size_t i = 0; i < actual.values.size(); ++i) {
    double error = std::abs(actual.values[i] - expected.values[i]) /
                   std::max(1.0, std::abs(expected.values[i]));
    if (std::isnan(error))
      return INFINITY;
    worst = std::max(worst, error);
  }
  return worst;
}

bool identical(const Array &lhs, const Array &rhs) {
  auto bits = [](double value) { return std::bit_cast<uint64_t>(value); };
  return lhs.shape == rhs.shape && std::ranges::equal(lhs.values, rhs.values, {}, bits, bits);
}

} // namespace moec::test
