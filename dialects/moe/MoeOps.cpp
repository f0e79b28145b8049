#include "dialects/moe/MoeDialect.h"

#define GET_OP_CLASSES
#include "dialects/moe/MoeOps.cpp.inc"
