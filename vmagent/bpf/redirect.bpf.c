/*
 * Leads containers to the desktop's ports, and keeps those ports from being taken: eBPF programs
 * for the root of the cgroup v2 tree. `make bytecode` turns this file into redirect_bytecode.py.
 *
 * Rules: as in watch.bpf.c. Only programs in the agent's network namespace count, and of them only
 * those whose cgroup is not in samehost_own: the machine's own daemons keep the machine's
 * loopback. All that is asked only once a port is known to be the desktop's, so that others pay
 * for two comparisons or one look-up.
 *
 *   connect, sendmsg      To loopback, port N, which the desktop has, and nobody in the machine
 *                         listens there: the destination becomes 127.77.(N >> 8).(N & 255), or
 *                         fd53:616d:6568::(N), at the agent's port, which reads N back from it.
 *                         Nothing is remembered, so nothing can be lost or stale.
 *   recvmsg, getpeername  The same backwards: programs see the address that they asked for.
 *   bind                  A port that the desktop has is in use, as it would be on one computer.
 *
 * Limits: Linux 5.18, for the error that a refused bind gives; proven up to 7.3. Who connected a
 * UDP socket keeps the peer found then. A bind to [::] is taken for one of both families: whether
 * a socket is v6-only cannot be asked here, bpf_getsockopt knows no such option (up to 7.3). A bind
 * to port 0 may be given a port that the desktop has: in post_bind it could be refused, but then
 * the kernel tries no other port, and such a bind must not fail.
 *
 * Counterpart: redirection.py.
 */

#include "program.h"

#define SOCK_STREAM 1
#define IPPROTO_MPTCP 262

#define EADDRINUSE 98

#define REFUSE 0

/* Addresses, in the order of the network. */

#define LOOPBACK4 __builtin_bswap32(0x7f000001)
#define LOOPBACK6_END __builtin_bswap32(1)
#define MAPPED __builtin_bswap32(0xffff)

#define ENCODED4 __builtin_bswap32(0x7f4d0000)
#define ENCODED6_FIRST __builtin_bswap32(0xfd53616d)
#define ENCODED6_SECOND __builtin_bswap32(0x65680000)

/* Helpers, by their number (bpf-helpers(7)). */

static __u64 (*const get_current_cgroup_id)(void) = (void *)BPF_FUNC_get_current_cgroup_id;
static struct bpf_sock *(*const sk_lookup_tcp)(void *context, struct bpf_sock_tuple *tuple,
					       __u32 size, __u64 netns, __u64 flags) =
	(void *)BPF_FUNC_sk_lookup_tcp;
static struct bpf_sock *(*const sk_lookup_udp)(void *context, struct bpf_sock_tuple *tuple,
					       __u32 size, __u64 netns, __u64 flags) =
	(void *)BPF_FUNC_sk_lookup_udp;
static long (*const sk_release)(struct bpf_sock *socket) = (void *)BPF_FUNC_sk_release;
/* BPF_FUNC_set_retval, which headers older than Linux 5.18 do not name. */
static int (*const set_retval)(int value) = (void *)187;

/* Maps. Layouts are in redirection.py as well. */

struct place {
	__u8 protocol;
	__u8 is_ipv6;
	__u16 port; /* in the order of the network */
};

struct config {
	__u64 netns; /* cookie of the agent's network namespace */
	__u32 port;  /* the agent's, in the order of the network */
	__u32 unused;
};

SECTION("maps") struct map_definition samehost_config = {
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(__u32),
	.value_size = sizeof(struct config),
	.max_entries = 1,
};

/* What the desktop has; the values say nothing. */
SECTION("maps") struct map_definition samehost_ports = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = sizeof(struct place),
	.value_size = sizeof(__u8),
	.max_entries = 4 * 65536,
	.flags = BPF_F_NO_PREALLOC,
};

/* Ids of the cgroups of the machine's own programs; the values say nothing. */
SECTION("maps") struct map_definition samehost_own = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = sizeof(__u64),
	.value_size = sizeof(__u8),
	.max_entries = 65536,
	.flags = BPF_F_NO_PREALLOC,
};

INLINE struct config *config_for(struct bpf_sock_addr *context)
{
	__u32 first = 0;
	struct config *config = map_lookup_elem(&samehost_config, &first);

	return config && config->netns == get_netns_cookie(context) ? config : 0;
}

/* TCP, multipath or not, or UDP; 0 for what else has ports. */
INLINE __u8 protocol_of(struct bpf_sock_addr *context)
{
	if (context->type == SOCK_DGRAM && context->protocol == IPPROTO_UDP)
		return IPPROTO_UDP;
	if (context->type == SOCK_STREAM &&
	    (context->protocol == IPPROTO_TCP || context->protocol == IPPROTO_MPTCP))
		return IPPROTO_TCP;
	return 0;
}

INLINE int is_desktops(struct bpf_sock_addr *context, int is_ipv6)
{
	struct place place = {
		.protocol = protocol_of(context),
		.is_ipv6 = is_ipv6,
		.port = context->user_port,
	};

	return map_lookup_elem(&samehost_ports, &place) != 0;
}

/* The configuration, if the caller is in a container in the agent's network; else 0. */
INLINE struct config *config_for_container(struct bpf_sock_addr *context)
{
	__u64 cgroup = get_current_cgroup_id();

	return map_lookup_elem(&samehost_own, &cgroup) ? 0 : config_for(context);
}

INLINE int is_served_in_machine(struct bpf_sock_addr *context, int is_ipv6)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *socket;
	__u32 size;

	if (is_ipv6) {
		tuple.ipv6.saddr[3] = tuple.ipv6.daddr[3] = LOOPBACK6_END;
		tuple.ipv6.dport = context->user_port;
		size = sizeof(tuple.ipv6);
	} else {
		tuple.ipv4.saddr = tuple.ipv4.daddr = LOOPBACK4;
		tuple.ipv4.dport = context->user_port;
		size = sizeof(tuple.ipv4);
	}
	if (protocol_of(context) == IPPROTO_UDP)
		socket = sk_lookup_udp(context, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		socket = sk_lookup_tcp(context, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return 0;
	sk_release(socket);
	return 1;
}

/* The configuration, if the destination is to be changed; else 0. */
INLINE struct config *redirection(struct bpf_sock_addr *context, int is_ipv6)
{
	struct config *config;

	if (!is_desktops(context, is_ipv6))
		return 0;
	config = config_for_container(context);
	return config && !is_served_in_machine(context, is_ipv6) ? config : 0;
}

/* 0.0.0.0 as a destination means loopback (ip(7)), and [::] does. */
INLINE int is_loopback4(__u32 address)
{
	return address == LOOPBACK4 || !address;
}

INLINE int is_loopback6(struct bpf_sock_addr *context)
{
	__u32 end = context->user_ip6[3];

	return !context->user_ip6[2] && (end == LOOPBACK6_END || !end);
}

INLINE __u32 encoded_end(struct bpf_sock_addr *context)
{
	return __builtin_bswap32(__builtin_bswap16(context->user_port));
}

INLINE int lead4(struct bpf_sock_addr *context)
{
	struct config *config;

	if (!is_loopback4(context->user_ip4))
		return GO_ON;
	config = redirection(context, 0);
	if (config) {
		context->user_ip4 = ENCODED4 | encoded_end(context);
		context->user_port = config->port;
	}
	return GO_ON;
}

INLINE int lead6(struct bpf_sock_addr *context)
{
	struct config *config;

	if (context->user_ip6[0] || context->user_ip6[1])
		return GO_ON;
	if (is_loopback6(context)) {
		config = redirection(context, 1);
		if (config) {
			context->user_ip6[0] = ENCODED6_FIRST;
			context->user_ip6[1] = ENCODED6_SECOND;
			context->user_ip6[3] = encoded_end(context);
			context->user_port = config->port;
		}
	} else if (context->user_ip6[2] == MAPPED && is_loopback4(context->user_ip6[3])) {
		config = redirection(context, 0);
		if (config) {
			context->user_ip6[3] = ENCODED4 | encoded_end(context);
			context->user_port = config->port;
		}
	}
	return GO_ON;
}

INLINE int is_encoded4(__u32 address)
{
	return (address & __builtin_bswap32(0xffff0000)) == ENCODED4;
}

INLINE int is_agents(struct bpf_sock_addr *context)
{
	struct config *config = config_for(context);

	return config && context->user_port == config->port;
}

INLINE __u16 decoded_port(__u32 end)
{
	return __builtin_bswap16(__builtin_bswap32(end));
}

INLINE int show4(struct bpf_sock_addr *context)
{
	__u32 address = context->user_ip4;

	if (is_encoded4(address) && is_agents(context)) {
		context->user_ip4 = LOOPBACK4;
		context->user_port = decoded_port(address);
	}
	return GO_ON;
}

INLINE int show6(struct bpf_sock_addr *context)
{
	__u32 first = context->user_ip6[0];
	__u32 second = context->user_ip6[1];
	__u32 third = context->user_ip6[2];
	__u32 end = context->user_ip6[3];

	if (first == ENCODED6_FIRST && second == ENCODED6_SECOND && !third) {
		if (is_agents(context)) {
			context->user_ip6[0] = context->user_ip6[1] = 0;
			context->user_ip6[3] = LOOPBACK6_END;
			context->user_port = decoded_port(end);
		}
	} else if (!first && !second && third == MAPPED && is_encoded4(end)) {
		if (is_agents(context)) {
			context->user_ip6[3] = LOOPBACK4;
			context->user_port = decoded_port(end);
		}
	}
	return GO_ON;
}

INLINE int guard(struct bpf_sock_addr *context, int is_in_use)
{
	if (!is_in_use || !config_for_container(context))
		return GO_ON;
	set_retval(-EADDRINUSE);
	return REFUSE;
}

SECTION("cgroup/connect4") int samehost_conn4(struct bpf_sock_addr *context)
{
	return lead4(context);
}

SECTION("cgroup/connect6") int samehost_conn6(struct bpf_sock_addr *context)
{
	return lead6(context);
}

SECTION("cgroup/sendmsg4") int samehost_send4(struct bpf_sock_addr *context)
{
	return lead4(context);
}

SECTION("cgroup/sendmsg6") int samehost_send6(struct bpf_sock_addr *context)
{
	return lead6(context);
}

SECTION("cgroup/recvmsg4") int samehost_recv4(struct bpf_sock_addr *context)
{
	return show4(context);
}

SECTION("cgroup/recvmsg6") int samehost_recv6(struct bpf_sock_addr *context)
{
	return show6(context);
}

SECTION("cgroup/getpeername4") int samehost_peer4(struct bpf_sock_addr *context)
{
	return show4(context);
}

SECTION("cgroup/getpeername6") int samehost_peer6(struct bpf_sock_addr *context)
{
	return show6(context);
}

SECTION("cgroup/bind4") int samehost_guard4(struct bpf_sock_addr *context)
{
	return guard(context, is_loopback4(context->user_ip4) && is_desktops(context, 0));
}

SECTION("cgroup/bind6") int samehost_guard6(struct bpf_sock_addr *context)
{
	__u32 third = context->user_ip6[2];
	__u32 end = context->user_ip6[3];
	int is_mapped = third == MAPPED && is_loopback4(end);

	if (context->user_ip6[0] || context->user_ip6[1] || !(is_mapped || is_loopback6(context)))
		return GO_ON;
	/* [::] is both families', unless the socket is v6-only. */
	return guard(context, (!is_mapped && is_desktops(context, 1)) ||
				      ((is_mapped || !end) && is_desktops(context, 0)));
}

SECTION("license") char licence[] = "Apache-2.0";
