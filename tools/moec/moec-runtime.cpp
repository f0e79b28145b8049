// moec-runtime: the runtime's part of moec's command line, for machines that
// execute artifacts and have no LLVM.
#include "tools/moec/Command.h"

using namespace moec::tools;

int main(int count, char **words) {
  constexpr const Command *kCommands[] = {&runCommand, &generateCommand, &benchCommand,
                                          &selfcheckCommand};
  return dispatch(kCommands, count, words);
}
