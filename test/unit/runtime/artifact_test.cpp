// What is loaded is what was written: anything else is refused with a reason.
#include "moec/artifact.h"
#include "runtime/CpuFeatures.h"
#include "runtime/Sha256.h"
#include "toy.h"
#include "toy_files.h"
#include "gtest/gtest.h"

using namespace moec::runtime;

namespace {

class ArtifactTest : public testing::Test {
protected:
  /// Loads and releases.
  moec_status load(moec_model_options options = {}) {
    moec_model *model = nullptr;
    moec_status status = moec_model_load(files.artifact().c_str(), &options, &model);
    EXPECT_EQ(model != nullptr, status == MOEC_OK);
    moec_model_release(model);
    return status;
  }

  void expectError(moec_status status, const std::string &text, moec_model_options options = {}) {
    EXPECT_EQ(load(options), status);
    EXPECT_NE(std::string(moec_last_error()).find(text), std::string::npos) << moec_last_error();
  }

  ToyFiles files;
};

// Digests are those of FIPS 180-4.
TEST(Sha256Test, Vectors) {
  EXPECT_EQ(toHex(sha256("", 0)),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(toHex(sha256("abc", 3)),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::string text = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  EXPECT_EQ(toHex(sha256(text.data(), text.size())),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  Sha256 sum;
  std::string million(1000000, 'a');
  for (size_t at = 0, part = 1; at < million.size(); at += part, part = part % 200 + 1)
    sum.update(million.data() + at, part = std::min(part, million.size() - at));
  EXPECT_EQ(toHex(sum.finish()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_F(ArtifactTest, LoadsWhatWasWritten) {
  EXPECT_EQ(load(), MOEC_OK) << moec_last_error();
  EXPECT_EQ(load({.verify_weights = 1}), MOEC_OK) << moec_last_error();
  EXPECT_EQ(load({.device = "cpu", .weights_memory = MOEC_WEIGHTS_HUGE}), MOEC_OK)
      << moec_last_error();
}

// Whichever byte is damaged, the artifact is refused, and never executed.
TEST_F(ArtifactTest, AnyFlippedByteIsRefused) {
  std::string bytes = readAll(files.artifact());
  FILE *file = fopen(files.artifact().c_str(), "r+b");
  ASSERT_TRUE(file);
  ASSERT_EQ(setvbuf(file, nullptr, _IONBF, 0), 0);
  auto put = [&](size_t at, char byte) {
    fseek(file, static_cast<long>(at), SEEK_SET);
    fputc(byte, file);
  };
  for (size_t at = 0; at < bytes.size(); ++at) {
    put(at, static_cast<char>(bytes[at] ^ (1 << at % 8)));
    ASSERT_EQ(load(), MOEC_DAMAGED) << "byte " << at;
    put(at, bytes[at]);
  }
  fclose(file);
  EXPECT_EQ(load(), MOEC_OK);
}

TEST_F(ArtifactTest, AnyShorterOrLongerFileIsRefused) {
  std::string bytes = readAll(files.artifact());
  for (size_t length = 0; length < bytes.size(); length += 1 + length / 50) {
    writeAll(files.artifact(), bytes.substr(0, length));
    ASSERT_EQ(load(), MOEC_DAMAGED) << "length " << length;
  }
  writeAll(files.artifact(), bytes.substr(0, bytes.size() - 1));
  expectError(MOEC_DAMAGED, "is cut short");
  writeAll(files.artifact(), bytes + "x");
  expectError(MOEC_DAMAGED, "is damaged");
}

TEST_F(ArtifactTest, ForeignAndMissingFilesAreRefused) {
  writeAll(files.artifact(), std::string(1000, 'x'));
  expectError(MOEC_DAMAGED, "is not a moec artifact");
  std::filesystem::remove(files.artifact());
  expectError(MOEC_IO, "No such file");
  std::filesystem::create_directory(files.artifact());
  expectError(MOEC_IO, "not a regular file");
}

TEST_F(ArtifactTest, OtherDevicesAndChipsAreNamed) {
  expectError(MOEC_INCOMPATIBLE, "compiled for device 'cpu', not for 'cuda'", {.device = "cuda"});
  files.writeArtifact(files.metadata(R"("target": "cpu")", R"("target": "abacus")"));
  expectError(MOEC_INCOMPATIBLE, "there is no device 'abacus'; there are: cpu");
  files.writeArtifact(files.metadata(R"("features": [])", R"("features": ["beads"])"));
  expectError(MOEC_INCOMPATIBLE, "feature 'beads'");
  std::vector<std::string> all;
  for (std::string_view name : knownCpuFeatures())
    all.emplace_back(name);
  // No machine has both of AMD's sse4a and Intel's amx-tile.
  if (!all.empty())
    EXPECT_TRUE(checkCpuFeatures("x", all));
}

TEST_F(ArtifactTest, OtherAbiVersionsAreRefused) {
  moec_module_v1 module = files.module();
  module.abi_version = MOEC_ABI_VERSION + 1;
  moec_model *model = nullptr;
  EXPECT_EQ(moec_model_from_module(&module, files.weights().c_str(), nullptr, &model),
            MOEC_INCOMPATIBLE);
  EXPECT_NE(std::string(moec_last_error()).find("ABI version 2"), std::string::npos);
}

TEST_F(ArtifactTest, WeightsOfAnotherModelAreRefused) {
  std::string bytes = readAll(files.weights());
  for (size_t at = 0; at < 128; ++at) {
    std::string damaged = bytes;
    damaged[at] ^= 4;
    writeAll(files.weights(), damaged);
    ASSERT_EQ(load(), MOEC_DAMAGED) << "byte " << at;
  }
  writeAll(files.weights(), bytes + "x");
  expectError(MOEC_DAMAGED, "has 145 bytes, but the model's weights have 144");
  std::filesystem::remove(files.weights());
  expectError(MOEC_IO, "toy.safetensors");
}

// Contents are compared when asked: that reads the whole file.
TEST_F(ArtifactTest, DamagedWeightsAreFoundByVerifying) {
  std::string bytes = readAll(files.weights());
  bytes[130] ^= 1;
  writeAll(files.weights(), bytes);
  EXPECT_EQ(load(), MOEC_OK);
  expectError(MOEC_DAMAGED, "weight 'w'", {.verify_weights = 1});
}

TEST_F(ArtifactTest, RenamedPairsFindEachOther) {
  std::string artifact = files.path("other.v2.moec");
  std::filesystem::rename(files.artifact(), artifact);
  std::filesystem::rename(files.weights(), files.path("other.v2.safetensors"));
  moec_model *model = nullptr;
  EXPECT_EQ(moec_model_load(artifact.c_str(), nullptr, &model), MOEC_OK) << moec_last_error();
  moec_model_release(model);
}

} // namespace
