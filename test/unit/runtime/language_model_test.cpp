// A decoder gets the inputs that it asks for, with state and without, and its
// last logits are read whatever their type.
#include "tools/moec/LanguageModel.h"
#include "gtest/gtest.h"

#include <cmath>
#include <cstring>
#include <memory>

using namespace moec::tools;

namespace {

constexpr int64_t kVocabulary = 4;

/// What the module below was given in its last execution, and what it answers.
struct Exchange {
  std::vector<size_t> elementBytes; // of each input that is not state
  bool hasState = false;
  std::vector<std::vector<int64_t>> seen;
  std::string answer; // the last row of logits
};
Exchange exchange;

int32_t entry(moec_call *call, const moec_services *services, const moec_view *inputs,
              void *const *) {
  exchange.seen.clear();
  for (size_t bytes : exchange.elementBytes) {
    const moec_view &input = inputs[exchange.seen.size()];
    std::vector<int64_t> &values = exchange.seen.emplace_back(input.sizes[0] * input.sizes[1]);
    for (size_t i = 0; i < values.size(); ++i)
      std::memcpy(&values[i], static_cast<const char *>(input.data) + i * bytes, bytes);
  }
  int64_t batch = inputs[0].sizes[0], rows = inputs[0].sizes[1];
  const int64_t sizes[] = {batch, rows, kVocabulary};
  moec_view view;
  services->output(call, 0, sizes, &view);
  size_t rowBytes = exchange.answer.size();
  for (int64_t row = 0; row < batch * rows; ++row)
    if (row % rows == rows - 1)
      std::memcpy(static_cast<char *>(view.data) + row * rowBytes, exchange.answer.data(),
                  rowBytes);
    else
      std::memset(static_cast<char *>(view.data) + row * rowBytes, 0, rowBytes);
  if (!exchange.hasState)
    return 0;
  const int64_t present[] = {batch, inputs[exchange.elementBytes.size()].sizes[1] + rows};
  services->output(call, 1, present, &view);
  return 0;
}

struct Tensor {
  const char *name;
  int32_t type = MOEC_I64;
  const char *dims = R"(["batch", null])";

  std::string json() const {
    return std::string(R"({"name": ")") + name + R"(", "type": )" + std::to_string(type) +
           R"(, "dims": )" + dims + "}";
  }
};

class LanguageModelTest : public testing::Test {
protected:
  /// Makes a model of these inputs that answers zeros.
  Status attach(const std::vector<Tensor> &inputs, bool hasState = false, int64_t batch = 1,
                Tensor logits = {"logits", MOEC_F32, R"(["batch", null, 4])"}) {
    exchange = {};
    exchange.hasState = hasState;
    exchange.answer.assign(kVocabulary * moec_element_bits(logits.type) / 8, '\0');
    std::string tensors, outputs = logits.json(), states;
    for (const Tensor &input : inputs) {
      exchange.elementBytes.push_back(moec_element_bits(input.type) / 8);
      tensors += (tensors.empty() ? "" : ", ") + input.json();
    }
    if (hasState) {
      tensors += ", " + Tensor{"past", MOEC_U8}.json();
      outputs += ", " + Tensor{"present", MOEC_U8}.json();
      states = R"({"input": )" + std::to_string(inputs.size()) + R"(, "output": 1, "axis": 1})";
    }
    metadata = R"({"moec": 1, "target": "cpu", "inputs": [)" + tensors + R"(], "outputs": [)" +
               outputs + R"(], "states": [)" + states +
               R"(], "kernels": [], "sites": [], "messages": []})";
    module = {MOEC_ABI_VERSION, 0, metadata.c_str(), entry, nullptr};
    language = {};
    loaded = std::make_unique<LoadedModel>();
    if (Status error = lastError(moec_model_from_module(&module, nullptr, nullptr, &loaded->model)))
      return error;
    if (Status error = lastError(moec_session_create(loaded->model, nullptr, &loaded->session)))
      return error;
    return language.attach(*loaded, batch);
  }

  void advance(const std::vector<int64_t> &ids) {
    Status error = language.advance(ids);
    ASSERT_FALSE(error) << error.message();
  }

  std::string metadata;
  moec_module_v1 module{};
  std::unique_ptr<LoadedModel> loaded;
  LanguageModel language;
};

using Seen = std::vector<std::vector<int64_t>>;

// Only new tokens are fed, with a mask over all and their absolute positions.
TEST_F(LanguageModelTest, StateIsContinued) {
  ASSERT_FALSE(attach({{"input_ids"}, {"attention_mask", MOEC_I32}, {"position_ids"}}, true));
  advance({7, 8, 9});
  EXPECT_EQ(exchange.seen, (Seen{{7, 8, 9}, {1, 1, 1}, {0, 1, 2}}));
  advance({10});
  EXPECT_EQ(exchange.seen, (Seen{{10}, {1, 1, 1, 1}, {3}}));
  EXPECT_EQ(moec_session_length(loaded->session), 4);
  language.reset();
  advance({5});
  EXPECT_EQ(exchange.seen, (Seen{{5}, {1}, {0}}));
}

// A model without state sees its whole text at every step, row by row.
TEST_F(LanguageModelTest, WithoutStateTheTextIsRepeated) {
  ASSERT_FALSE(attach({{"position_ids", MOEC_I32}, {"input_ids", MOEC_I32}}, false, 2));
  advance({1, 2, 11, 12});
  advance({3, 13});
  EXPECT_EQ(exchange.seen, (Seen{{0, 1, 2, 0, 1, 2}, {1, 2, 3, 11, 12, 13}}));
  language.reset();
  advance({4, 14});
  EXPECT_EQ(exchange.seen, (Seen{{0, 0}, {4, 14}}));
}

// The values of every type are exact in float32.
TEST_F(LanguageModelTest, ReadsLogitsOfEveryType) {
  auto bytes = [](auto... values) {
    std::string text;
    (text.append(reinterpret_cast<const char *>(&values), sizeof values), ...);
    return text;
  };
  using Half = uint16_t;
  struct Case {
    int32_t type;
    std::string answer;
    std::vector<float> logits;
  };
  const Case cases[] = {
      {MOEC_F32, bytes(1.5f, -2.f, 0.f, INFINITY), {1.5f, -2, 0, INFINITY}},
      {MOEC_F64, bytes(1.5, -2., 0., 3.), {1.5f, -2, 0, 3}},
      {MOEC_BF16,
       bytes(Half(0x3fc0), Half(0xc000), Half(0xff80), Half(1)),
       {1.5f, -2, -INFINITY, 0x1p-133f}},
      {MOEC_F16,
       bytes(Half(0x3e00), Half(0xc000), Half(0xfc00), Half(0x8001)),
       {1.5f, -2, -INFINITY, -0x1p-24f}},
  };
  for (const Case &test : cases) {
    ASSERT_FALSE(attach({{"input_ids"}}, false, 2, {"logits", test.type, R"(["batch", null, 4])"}));
    exchange.answer = test.answer;
    advance({0, 1, 2, 3});
    std::vector<float> both = test.logits;
    both.insert(both.end(), test.logits.begin(), test.logits.end());
    EXPECT_EQ(language.logits(), both) << moec_element_name(test.type);
  }
}

TEST_F(LanguageModelTest, OtherModelsAreRefused) {
  auto expectError = [](const Status &status, const std::string &text) {
    EXPECT_NE(status.message().find(text), std::string::npos) << status.message();
  };
  expectError(attach({{"attention_mask"}}), "the model has no input 'input_ids'");
  expectError(attach({{"input_ids"}, {"pixels"}}), "the model has input 'pixels'");
  expectError(attach({{"input_ids", MOEC_F32}}), "input 'input_ids' is float32 [batch, ?]");
  expectError(attach({{"input_ids", MOEC_I64, R"(["batch"])"}}), "input 'input_ids' is int64");
  expectError(attach({{"input_ids"}}, false, 1, {"scores", MOEC_F32}), "no output 'logits'");
  expectError(attach({{"input_ids"}}, false, 1, {"logits", MOEC_F32}),
              "output 'logits' is float32");
  expectError(attach({{"input_ids"}}, false, 1, {"logits", MOEC_I64, "[1, null, 4]"}),
              "output 'logits' is int64 [1, ?, 4]");
}

} // namespace
