/* The file format of an artifact, OUT.moec.
 *
 *   header | metadata (JSON) | host code (ELF shared object) | device code
 *
 * Numbers are little-endian. The host code exports
 * `const moec_module_v1 *moec_module(void)` of module_abi.h. The weights are
 * in a file of their own, which the metadata names (docs/metadata.md).
 */
#ifndef MOEC_ARTIFACT_H
#define MOEC_ARTIFACT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOEC_ARTIFACT_MAGIC "MOECART1"
#define MOEC_ARTIFACT_ENTRY "moec_module"

typedef enum moec_artifact_part {
  MOEC_PART_METADATA = 0,
  MOEC_PART_HOST_CODE = 1,
  MOEC_PART_DEVICE_CODE = 2, /* empty where the target is a CPU */
  MOEC_PART_COUNT = 3
} moec_artifact_part;

/* From the start of the file, in bytes. */
typedef struct moec_artifact_range {
  uint64_t offset, length;
} moec_artifact_range;

typedef struct moec_artifact_header {
  char magic[8];
  uint8_t digest[32];    /* SHA-256 of the file from the next member on */
  uint64_t length;       /* of the whole file */
  uint32_t abi_version;  /* MOEC_ABI_VERSION of module_abi.h */
  uint32_t header_bytes; /* sizeof(moec_artifact_header) */
  char target[16];       /* "cpu", NUL-terminated */
  char chip[48];         /* as the compiler calls it, NUL-terminated */
  moec_artifact_range parts[MOEC_PART_COUNT];
} moec_artifact_header;

#ifdef __cplusplus
}
#endif
#endif
