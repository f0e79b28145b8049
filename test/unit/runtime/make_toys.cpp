// Writes toy.moec and toy.safetensors (toy.c) and speaker.moec (speaker.c) into
// the folder argv[1], for tests of the command line.
#include "runtime/Artifact.h"
#include "toy_files.h"

#include <cstdio>

int main(int count, char **words) {
  if (count != 2)
    return 2;
  std::filesystem::path folder = words[1];
  std::filesystem::create_directories(folder);
  ToyFiles files;
  constexpr auto kReplace = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy(files.artifact(), folder / "toy.moec", kReplace);
  std::filesystem::copy(files.weights(), folder / "toy.safetensors", kReplace);
  std::string code = readAll(SPEAKER_SHARED_OBJECT);
  moec::runtime::SharedObject speaker;
  if (speaker.load(code, "speaker"))
    return 1;
  using Accessor = const moec_module_v1 *();
  const char *metadata =
      reinterpret_cast<Accessor *>(speaker.find(MOEC_ARTIFACT_ENTRY))()->metadata;
  writeAll((folder / "speaker.moec").string(), assembleArtifact(metadata, code));
  return 0;
}
