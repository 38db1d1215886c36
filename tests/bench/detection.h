/* What the container's and the desktop's part of measuring detection share. */
#ifndef DETECTION_H
#define DETECTION_H

#include <stdint.h>

enum { WIDEST = 64, TARGETS = 2 * WIDEST };

enum protocol { TCP, UDP };

/* What the desktop orders the keeper to. */
struct order {
	uint8_t verb; /* 'o' for open, 'c' for close */
	uint8_t count;
	struct { uint16_t port; uint16_t protocol; } targets[TARGETS];
};

/* When what was ordered had returned, for each target, and how long it took; an errno. */
struct answer { int64_t error, ns[TARGETS], took[TARGETS]; };

/* Sleep to that time of now_ns(), to the microsecond. */
void sleep_until(int64_t ns);

/* Print a member of a JSON object: nanoseconds as an array of microseconds; then `end`. */
void print_values(const char *name, const int64_t *ns, long n, const char *end);

#endif
