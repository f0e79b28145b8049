#include "dialects/attn/AttnDialect.h"

#define GET_OP_CLASSES
#include "dialects/attn/AttnOps.cpp.inc"
