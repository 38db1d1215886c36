/*
 * What every eBPF program of ours needs: how it is marked for the build, the constants and
 * helpers that all use, and how a map is defined.
 *
 * Rules: as in watch.bpf.c. Only what at least two sources use is here.
 *
 * Counterparts: watch.bpf.c, redirect.bpf.c; scripts/bytecode.py reads the sections.
 */

#pragma once

#include <linux/bpf.h>

#define SOCK_DGRAM 2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

#define GO_ON 1

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

/* Helpers, by their number (bpf-helpers(7)). */

static void *(*const map_lookup_elem)(void *map, const void *key) =
	(void *)BPF_FUNC_map_lookup_elem;
static __u64 (*const get_netns_cookie)(void *context) = (void *)BPF_FUNC_get_netns_cookie;

/* Maps. The build reads their definitions from the section "maps". */

struct map_definition {
	__u32 type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 flags;
};
