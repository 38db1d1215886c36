/*
 * Tells the agent when a socket begins and ceases to listen: eBPF programs for the root of the
 * cgroup v2 tree. `make bytecode` turns this file into bytecode.py, which is what the agent
 * carries; the machine needs no compiler.
 *
 * Rules: contexts of linux/bpf.h only (the kernel keeps their layout: no BTF), no helper that
 * asks for a GPL licence, no loop, and no verdict but "go on". A program does nothing but note
 * and tell. Helpers and hooks are those of Linux 5.9, but for one program that says so.
 *
 *   bind       A UDP socket whose caller names a port is noted in samehost_binds.
 *   post_bind  Noted, and the kernel gave that port: tell BOUND. So a bind to port 0, which each
 *              look-up of a resolver may do, costs one look-up here and tells nothing.
 *   release    The last close. Noted: tell GONE. The agent notes sockets too: those that were
 *              there before these programs, TCP as well.
 *   sockops    A TCP socket listens: tell LISTENING and ask for its changes of state; it leaves
 *              that state, by close or shutdown: tell GONE. Connections inherit the wish and are
 *              freed from it when they are established.
 *
 * Limits: sees the sockets that were made in the cgroup and below, whoever holds them now. A
 * foreign sockops program that wants changes of state of accepted connections loses that wish.
 *
 * Counterpart: programs.py.
 */

#include "program.h"

/* Helpers, by their number (bpf-helpers(7)). */

static long (*const map_update_elem)(void *map, const void *key, const void *value, __u64 flags) =
	(void *)BPF_FUNC_map_update_elem;
static long (*const map_delete_elem)(void *map, const void *key) =
	(void *)BPF_FUNC_map_delete_elem;
static long (*const ringbuf_output)(void *ring, void *data, __u64 size, __u64 flags) =
	(void *)BPF_FUNC_ringbuf_output;
static __u64 (*const get_socket_cookie)(void *context) = (void *)BPF_FUNC_get_socket_cookie;
static long (*const sock_ops_cb_flags_set)(struct bpf_sock_ops *context, int flags) =
	(void *)BPF_FUNC_sock_ops_cb_flags_set;

/* What crosses to the agent. Numbers and layout are in programs.py as well. */

enum kind { LOST = 0, BOUND = 1, LISTENING = 2, GONE = 3 };

struct event {
	__u64 cookie;
	__u16 port;
	__u8 protocol;
	__u8 kind;
	__u32 unused;
};

struct bind {
	__u16 port;
	__u8 protocol;
	__u8 is_told;
	__u32 unused;
};

/* Maps. */

/* 10 922 events: some 0.15 s of the worst storm. */
SECTION("maps") struct map_definition samehost_events = {
	.type = BPF_MAP_TYPE_RINGBUF,
	.max_entries = 256 * 1024,
};

/* By cookie: who names a port, and who is followed. Memory is taken as it is needed. */
SECTION("maps") struct map_definition samehost_binds = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = sizeof(__u64),
	.value_size = sizeof(struct bind),
	.max_entries = 32 * 1024,
	.flags = BPF_F_NO_PREALLOC,
};

/* How many events did not find room. */
SECTION("maps") struct map_definition samehost_lost = {
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u64),
	.max_entries = 1,
	.flags = BPF_F_MMAPABLE,
};

/* The cookie of the network namespace that counts; 0: all do. */
SECTION("maps") struct map_definition samehost_netns = {
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u64),
	.max_entries = 1,
};

INLINE int is_elsewhere(__u64 netns)
{
	__u32 first = 0;
	__u64 *wanted = map_lookup_elem(&samehost_netns, &first);

	return wanted && *wanted && *wanted != netns;
}

INLINE void count_lost(void)
{
	__u32 first = 0;
	__u64 *count = map_lookup_elem(&samehost_lost, &first);

	if (count)
		__sync_fetch_and_add(count, 1);
}

INLINE void tell(enum kind kind, __u64 cookie, __u8 protocol, __u16 port)
{
	struct event event = {
		.cookie = cookie,
		.port = port,
		.protocol = protocol,
		.kind = kind,
	};

	if (ringbuf_output(&samehost_events, &event, sizeof(event), 0))
		count_lost();
}

/* UDP */

INLINE int bind(struct bpf_sock_addr *context)
{
	struct bind asked = {
		.port = __builtin_bswap16(context->user_port),
		.protocol = IPPROTO_UDP,
	};
	__u64 cookie;

	if (context->type != SOCK_DGRAM || context->protocol != IPPROTO_UDP || !asked.port)
		return GO_ON;
	if (is_elsewhere(get_netns_cookie(context)))
		return GO_ON;
	cookie = get_socket_cookie(context);
	if (map_update_elem(&samehost_binds, &cookie, &asked, BPF_ANY)) {
		count_lost();
		tell(LOST, cookie, asked.protocol, asked.port); /* wakes the agent */
	}
	return GO_ON;
}

INLINE int post_bind(struct bpf_sock *socket)
{
	struct bind *asked;
	__u64 cookie;

	if (socket->protocol != IPPROTO_UDP)
		return GO_ON;
	cookie = get_socket_cookie(socket);
	asked = map_lookup_elem(&samehost_binds, &cookie);
	/* Another port: that bind failed, and this is one to port 0. */
	if (!asked || asked->port != socket->src_port)
		return GO_ON;
	asked->is_told = 1;
	tell(BOUND, cookie, IPPROTO_UDP, asked->port);
	return GO_ON;
}

SECTION("cgroup/bind4") int samehost_bind4(struct bpf_sock_addr *context)
{
	return bind(context);
}

SECTION("cgroup/bind6") int samehost_bind6(struct bpf_sock_addr *context)
{
	return bind(context);
}

SECTION("cgroup/post_bind4") int samehost_post4(struct bpf_sock *socket)
{
	return post_bind(socket);
}

SECTION("cgroup/post_bind6") int samehost_post6(struct bpf_sock *socket)
{
	return post_bind(socket);
}

SECTION("cgroup/sock_release") int samehost_close(struct bpf_sock *socket)
{
	__u64 cookie = get_socket_cookie(socket);
	struct bind *known = map_lookup_elem(&samehost_binds, &cookie);

	if (!known)
		return GO_ON;
	if (known->is_told)
		tell(GONE, cookie, known->protocol, known->port);
	map_delete_elem(&samehost_binds, &cookie);
	return GO_ON;
}

/* TCP */

INLINE void set_wants_states(struct bpf_sock_ops *context, int wanted)
{
	int flags = context->bpf_sock_ops_cb_flags;
	int others = flags & ~BPF_SOCK_OPS_STATE_CB_FLAG;
	int wish = others | (wanted ? BPF_SOCK_OPS_STATE_CB_FLAG : 0);

	if (wish != flags)
		sock_ops_cb_flags_set(context, wish);
}

INLINE void tell_tcp(enum kind kind, struct bpf_sock_ops *context)
{
	tell(kind, get_socket_cookie(context), IPPROTO_TCP, context->local_port);
}

/* Where somebody else wants changes of state, too, we are called for his sockets elsewhere. */
INLINE int is_ours(struct bpf_sock_ops *context, int of_one_namespace)
{
	return !of_one_namespace || !is_elsewhere(get_netns_cookie(context));
}

INLINE int sockops(struct bpf_sock_ops *context, int of_one_namespace)
{
	switch (context->op) {
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		if (!is_ours(context, of_one_namespace))
			break;
		set_wants_states(context, 1);
		tell_tcp(LISTENING, context);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (context->args[0] == BPF_TCP_LISTEN && is_ours(context, of_one_namespace))
			tell_tcp(GONE, context);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		set_wants_states(context, 0);
		break;
	}
	return GO_ON;
}

/* Linux 5.15: the helper that tells the network namespace is there for sockops. */
SECTION("sockops") int samehost_tcp_ns(struct bpf_sock_ops *context)
{
	return sockops(context, 1);
}

SECTION("sockops") int samehost_tcp(struct bpf_sock_ops *context)
{
	return sockops(context, 0);
}

SECTION("license") char licence[] = "Apache-2.0";
