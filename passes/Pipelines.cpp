//===- Pipelines.cpp - the compiler, stage by stage ----------------------===//
#include "passes/Passes.h"

void moec::registerPipelines() {}
