/* The module of toy.c. Its metadata is made by toy_files.h, since it has the
 * digests of a weights file. */
#ifndef TOY_H
#define TOY_H

#include "moec/module_abi.h"

#ifdef __cplusplus
extern "C" {
#endif
const moec_module_v1 *moec_module(void);
#ifdef __cplusplus
}
#endif
#endif
