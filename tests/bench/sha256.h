/* SHA-256 of what comes bit by bit. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { DIGEST = 32 };

struct sha { uint32_t h[8]; uint64_t size; uint8_t block[64]; };

void sha_start(struct sha *s);
void sha_add(struct sha *s, const uint8_t *p, size_t n);
void sha_end(struct sha *s, uint8_t digest[DIGEST]);

/* The digest in `text`, which has room for 2 * DIGEST + 1. */
const char *hex(const uint8_t *digest, char *text);

#endif
