/* Stands for the header that belongs to a compiled model's object. */
#include "moec/module_abi.h"

const moec_module_v1 *model_module(void);
