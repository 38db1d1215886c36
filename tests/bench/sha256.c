/* SHA-256 (FIPS 180-4, section 6.2), for load.c. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "sha256.h"

static const uint32_t K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

void sha_start(struct sha *s)
{
	static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	memcpy(s->h, first, sizeof first);
	s->size = 0;
}

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))

/* One round; the callers rotate the names instead of the values. */
#define ROUND(a, b, c, d, e, f, g, h, i)                                                          \
	do {                                                                                       \
		uint32_t t = h + (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) +                  \
			     (g ^ (e & (f ^ g))) + K[i] + w[i];                                    \
		d += t;                                                                            \
		h = t + (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) + ((a & b) | (c & (a | b))); \
	} while (0)

static void sha_block(struct sha *s, const uint8_t *p)
{
	uint32_t w[64], *v = s->h;
	uint32_t a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6], h = v[7];
	for (int i = 0; i < 16; i++) {
		memcpy(&w[i], p + 4 * i, 4);
		w[i] = ntohl(w[i]);
	}
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		       (ROTATE(w[i - 15], 7) ^ ROTATE(w[i - 15], 18) ^ w[i - 15] >> 3) +
		       (ROTATE(w[i - 2], 17) ^ ROTATE(w[i - 2], 19) ^ w[i - 2] >> 10);
	for (int i = 0; i < 64; i += 8) {
		ROUND(a, b, c, d, e, f, g, h, i);
		ROUND(h, a, b, c, d, e, f, g, i + 1);
		ROUND(g, h, a, b, c, d, e, f, i + 2);
		ROUND(f, g, h, a, b, c, d, e, i + 3);
		ROUND(e, f, g, h, a, b, c, d, i + 4);
		ROUND(d, e, f, g, h, a, b, c, i + 5);
		ROUND(c, d, e, f, g, h, a, b, i + 6);
		ROUND(b, c, d, e, f, g, h, a, i + 7);
	}
	v[0] += a, v[1] += b, v[2] += c, v[3] += d, v[4] += e, v[5] += f, v[6] += g, v[7] += h;
}

void sha_add(struct sha *s, const uint8_t *p, size_t n)
{
	size_t have = s->size % 64;
	s->size += n;
	if (have) {
		size_t part = n < 64 - have ? n : 64 - have;
		memcpy(s->block + have, p, part);
		if (have + part < 64)
			return;
		sha_block(s, s->block);
		p += part, n -= part;
	}
	for (; n >= 64; p += 64, n -= 64)
		sha_block(s, p);
	memcpy(s->block, p, n);
}

void sha_end(struct sha *s, uint8_t digest[DIGEST])
{
	static const uint8_t padding[64] = {0x80};
	uint64_t bits = s->size * 8;
	uint8_t length[8];
	for (int i = 0; i < 8; i++)
		length[i] = bits >> (56 - 8 * i);
	sha_add(s, padding, 1 + (119 - s->size % 64) % 64);
	sha_add(s, length, 8);
	for (int i = 0; i < 8; i++) {
		uint32_t word = htonl(s->h[i]);
		memcpy(digest + 4 * i, &word, 4);
	}
}

const char *hex(const uint8_t *digest, char *text)
{
	for (int i = 0; i < DIGEST; i++)
		sprintf(text + 2 * i, "%02x", digest[i]);
	return text;
}
