// Metadata that is not as docs/metadata.md says is refused, by the place.
#include "runtime/Metadata.h"
#include "toy_files.h"
#include "gtest/gtest.h"

using namespace moec::runtime;

namespace {

TEST(MetadataTest, ReadsWhatIsDocumented) {
  ToyFiles files;
  Metadata metadata;
  Status status = parseMetadata(files.metadata(), metadata);
  ASSERT_FALSE(status) << status.message();
  ASSERT_EQ(metadata.inputs.size(), 2u);
  EXPECT_EQ(metadata.inputs[1].dims[0].symbol, "batch");
  EXPECT_EQ(metadata.inputs[1].dims[1].size, 2);
  EXPECT_EQ(metadata.inputs[1].state, 1);
  EXPECT_EQ(metadata.outputs[1].stateAxis, 2);
  EXPECT_EQ(metadata.outputs[1].dims[2].symbol, "");
  EXPECT_EQ(metadata.sites[2].experts, 2);
  EXPECT_EQ(metadata.messages[1], "needs at least one row");
  EXPECT_EQ(metadata.weights.slots[0].offset, 128u);
  EXPECT_EQ(metadata.arena[0].bytes, 16);
  EXPECT_EQ(metadata.arena[0].times[1], "rows");
}

TEST(MetadataTest, RefusesWhatIsNot) {
  struct Case {
    const char *from, *to, *place;
  };
  const Case cases[] = {
      {R"("moec": 1)", R"("moec": 2)", "'moec'"},
      {R"("target": "cpu")", R"("target": 3)", "'target'"},
      {R"("name": "x", "type": 1)", R"("name": "x", "type": 1.5)", "'inputs[0].type'"},
      {R"("name": "x", "type": 1)", R"("name": "x", "type": 8)", "'inputs[0].type'"},
      {R"("name": "past")", R"("names": "past")", "'inputs[1].name'"},
      {R"(["batch", "rows", 4])", R"(["batch", [], 4])", "'inputs[0].dims[1]'"},
      {R"(["batch", "rows", 4])", R"(["batch", -1, 4])", "'inputs[0].dims[1]'"},
      {R"(["batch", "rows", 4])", "[1,2,3,4,5,6,7,8,9]", "'inputs[0].dims'"},
      {R"("input": 1,)", R"("input": 2,)", "'states[0].input'"},
      {R"("input": 1,)", R"("input": 0,)", "'states[0]'"},
      {R"("axis": 2)", R"("axis": 4)", "'states[0]'"},
      {R"("axis": 2)", R"("axis": 1)", "'states[0]'"},
      {R"("kernel": 2)", R"("kernel": 3)", "'sites[2].kernel'"},
      {R"("word": 9)", R"("word": 0)", "'sites[2].tokens_per_expert.word'"},
      {R"("kernels": [)", R"("kernels": [7, )", "'kernels[0]'"},
      {R"("messages": [)", R"("messages": 1, "more": [)", "'messages'"},
      {R"("times": [)", R"("times": [7, )", "'plan.arena[0].times[0]'"},
      {R"("offset": 128)", R"("offset": 129)", "'weights.slots[0].offset'"},
      {R"("offset": 128)", R"("offset": 64)", "'weights.slots[0].offset'"},
      {R"("bytes": 16)", R"("bytes": 17)", "'weights.slots[0].bytes'"},
      {R"("length": 144)", R"("length": 1e99)", "'weights.length'"},
      {R"("length": 144)", R"("length": 18446744073709551615)", "'weights.length'"},
      {R"({"moec": 1)", R"([{"moec": 1)", "not JSON"},
  };
  ToyFiles files;
  for (const Case &test : cases) {
    std::string text = files.metadata(test.from, test.to);
    ASSERT_NE(text, files.metadata()) << test.from;
    Metadata metadata;
    Status status = parseMetadata(text, metadata);
    EXPECT_EQ(status.code(), MOEC_DAMAGED) << test.to;
    EXPECT_NE(status.message().find(test.place), std::string::npos) << status.message();
  }
}

} // namespace
