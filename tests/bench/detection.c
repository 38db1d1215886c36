/* The desktop's end of measuring detection: waits for mirrors; and what the agent is refused.
 *
 *   load come-and-go SOCKET KIND ADDRESS FIRST PORTS ROUNDS WIDTH PAUSE_MS TRY_US PID PID
 *       orders the keeper and waits for the effect: see come_and_go()
 *   load refuse WORDS COMMAND…           runs it where the kernel refuses what WORDS name: "bpf",
 *       bpf(2); "events", to bind a netlink socket, as one must for groups of events
 *
 * Counterparts: listeners.c has the keeper; tests/bench/appear.py, tiers.py run these.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "detection.h"
#include "load.h"

enum { ECHO_BYTES = 1 };

static const int64_t ASK_AGAIN_NS = 1000000000;
static const int64_t UNASKED_NS = 20000000, UNASKED_TRY_NS = 5000000;

/* ---- come-and-go ---- */

/* One port that is waited for. `asked`: when a datagram was taken that is not answered yet.
 * `slack`: from the begin of the last try in vain to that of the one that succeeded. */
struct target {
	enum protocol protocol;
	int port, client, is_done;
	int64_t tried, asked, done, slack;
};

static struct sockaddr_in place;
static int schedstats[2];
static int64_t try_ns;

/* Nanoseconds for which daemon and agent have been able to run and had no core (proc(5)). */
static int64_t waited_ns(void)
{
	int64_t sum = 0;
	for (int i = 0; i < 2; i++) {
		char text[128];
		uint64_t ran, waited;
		ssize_t n = pread(schedstats[i], text, sizeof text - 1, 0);
		text[n > 0 ? n : 0] = 0;
		if (sscanf(text, "%" SCNu64 " %" SCNu64, &ran, &waited) != 2)
			die("schedstat");
		sum += waited;
	}
	return sum;
}

static const struct sockaddr *at(const struct target *t)
{
	place.sin_port = htons(t->port);
	return (const struct sockaddr *)&place;
}

/* A connection, given up at once with a reset, so that it soon leaves nothing to do for anybody.
 * To wait for it in poll() spares the daemon an event: a connect() that itself returns the refusal
 * makes the kernel forget the peer, and then a listener's end looks the same. */
static int connects(const struct target *t)
{
	struct linger at_once = {1, 0};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), failed = 0;
	struct pollfd settled = {.fd = s, .events = POLLOUT};
	socklen_t size = sizeof failed;
	if (s < 0)
		die("socket");
	if (connect(s, at(t), sizeof place) && errno != EINPROGRESS)
		die("connect");
	if (poll(&settled, 1, PATIENCE_SECONDS * 1000) != 1 ||
	    getsockopt(s, SOL_SOCKET, SO_ERROR, &failed, &size))
		die("connect");
	if (failed && (errno = failed) != ECONNREFUSED)
		die("connect");
	setsockopt(s, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(s);
	return !failed;
}

static void renew_client(struct target *t)
{
	if (t->client >= 0)
		close(t->client);
	t->client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (t->client < 0 || connect(t->client, at(t), sizeof place))
		die("UDP client");
}

/* On loopback the refusal of a datagram is there when send() returns. */
static int is_refused(const struct target *t)
{
	char b[ECHO_BYTES] = {'e'};
	send(t->client, b, sizeof b, MSG_DONTWAIT);
	return recv(t->client, b, sizeof b, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED;
}

/* A datagram is answered. While one that was taken is not, no other is sent: it would be work. */
static int is_answered(struct target *t)
{
	char b[ECHO_BYTES] = {'e'};
	if (!t->asked || now_ns() > t->asked + ASK_AGAIN_NS)
		t->asked = send(t->client, b, sizeof b, MSG_DONTWAIT) < 0 ? 0 : now_ns();
	if (recv(t->client, b, sizeof b, MSG_DONTWAIT) == ECHO_BYTES)
		return 1;
	if (errno == ECONNREFUSED)
		t->asked = 0;
	return 0;
}

/* Nobody has the port: told without a packet, so that the daemon has nothing to do with it. */
static int is_free(const struct target *t)
{
	int one = 1, kind = t->protocol == TCP ? SOCK_STREAM : SOCK_DGRAM;
	int s = socket(AF_INET, kind | SOCK_CLOEXEC, 0), failed;
	if (t->protocol == TCP)
		setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	failed = bind(s, at(t), sizeof place);
	if (s < 0 || (failed && errno != EADDRINUSE))
		die("bind");
	close(s);
	return !failed;
}

static int has_come(struct target *t)
{
	return t->protocol == TCP ? connects(t) : is_answered(t);
}

static int has_come_unasked(struct target *t) { return !is_free(t); }

/* Free, and seen to be refused. */
static int has_gone(struct target *t)
{
	if (!is_free(t))
		return 0;
	if (t->protocol == TCP)
		return !connects(t);
	renew_client(t);
	return is_refused(t);
}

/* Sleep, but not longer than until an answer is there. */
static void pause_for(int64_t ns, const struct target *targets, int count)
{
	struct pollfd clients[TARGETS];
	struct timespec t = {ns / 1000000000, ns % 1000000000};
	int n = 0;
	for (int i = 0; i < count; i++)
		if (targets[i].asked && !targets[i].is_done)
			clients[n++] = (struct pollfd){.fd = targets[i].client, .events = POLLIN};
	ppoll(clients, n, &t, NULL);
}

/* One try, and the note that it was made. True if it is the one that succeeds. */
static int try_once(struct target *t, int (*is_done)(struct target *))
{
	int64_t begin = now_ns(), was_asked = t->asked;
	t->is_done = is_done(t);
	if (t->is_done) {
		t->done = now_ns();
		if (!was_asked)
			t->slack = t->tried ? begin - t->tried : 0;
	} else if (t->asked && !was_asked) {
		t->slack = t->tried ? begin - t->tried : 0;
	}
	t->tried = begin;
	return t->is_done;
}

/* Try each in turn, with a pause after all, until all are done. */
static void await_all(struct target *targets, int count, int (*is_done)(struct target *),
		      int64_t pause)
{
	int64_t give_up = now_ns() + PATIENCE_SECONDS * 1000000000LL;
	for (int left = count; left;) {
		for (int i = 0; i < count; i++)
			if (!targets[i].is_done)
				left -= try_once(&targets[i], is_done);
		if (left)
			pause_for(pause, targets, count);
		if (left && now_ns() > give_up) {
			errno = ETIMEDOUT;
			die("a mirror does not come or go");
		}
	}
}

/* What one direction of all rounds came to. */
struct times { int64_t *took, *slack, *waited; };

static struct times room_for(int values, int rounds)
{
	struct times t = {calloc(values, 8), calloc(values, 8), calloc(rounds, 8)};
	if (!t.took || !t.slack || !t.waited)
		die("memory");
	return t;
}

/* Order the keeper to, wait for the effect on all targets, note how long that took. */
static int64_t half_round(int keeper, char verb, struct target *targets, int count,
			  int (*is_done)(struct target *), int64_t *took, int64_t *slack)
{
	struct order order = {.verb = verb, .count = count};
	struct answer answer;
	int64_t waited;
	for (int i = 0; i < count; i++) {
		order.targets[i].port = targets[i].port;
		order.targets[i].protocol = targets[i].protocol;
		targets[i].is_done = 0;
		targets[i].tried = targets[i].asked = targets[i].slack = 0;
		if (targets[i].protocol == UDP)
			renew_client(&targets[i]);
	}
	waited = waited_ns();
	if (send(keeper, &order, sizeof order, 0) < 0)
		die("order");
	if (is_done == has_come_unasked) /* its mirror shall not find us on the port */
		sleep_until(now_ns() + UNASKED_NS);
	await_all(targets, count, is_done,
		  is_done == has_come_unasked ? UNASKED_TRY_NS : try_ns);
	waited = waited_ns() - waited;
	if (recv(keeper, &answer, sizeof answer, 0) != sizeof answer)
		die("answer");
	if ((errno = answer.error))
		die("the container");
	for (int i = 0; i < count; i++) {
		took[i] = targets[i].done - answer.ns[i];
		slack[i] = answer.took[i] > targets[i].slack ? answer.took[i] : targets[i].slack;
	}
	return waited;
}

static void print_way(const char *name, const struct times *t, int values, int rounds,
		      const char *end)
{
	printf("\"%s\": {", name);
	print_values("took_us", t->took, values, ", ");
	print_values("slack_us", t->slack, values, ", ");
	print_values("waited_us", t->waited, rounds, "}");
	printf("%s", end);
}

static int connect_to_keeper(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval patience = {PATIENCE_SECONDS, 0};
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	strncpy(a.sun_path, path, sizeof a.sun_path - 1);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(s, (struct sockaddr *)&a, sizeof a))
		die("keeper");
	return s;
}

static void open_schedstats(char **pids)
{
	for (int i = 0; i < 2; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%s/schedstat", pids[i]);
		schedstats[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (schedstats[i] < 0)
			die("schedstat");
	}
}

/* ROUNDS times: WIDTH listeners of each protocol of KIND ("tcp", "udp", "both", or "udp-unasked",
 * whose mirrors get no datagram) open, and close, on the next of PORTS ports; a pause of random
 * length up to PAUSE_MS comes before each. Told, in microseconds: from the call's return until
 * the desktop saw the effect; by how much that may be wrong, since nobody tried for so long or the
 * call itself took it; how long the processes PID waited for a core meanwhile. Values of both
 * protocols alternate. */
int come_and_go(char **argv)
{
	int is_udp = !strncmp(argv[1], "udp", 3), unasked = !strcmp(argv[1], "udp-unasked");
	int kinds = strcmp(argv[1], "both") ? 1 : 2, keeper = connect_to_keeper(argv[0]);
	int first = atoi(argv[3]), ports = atoi(argv[4]), rounds = atoi(argv[5]);
	int width = atoi(argv[6]), count = width * kinds, values = rounds * count;
	int64_t pause = atof(argv[7]) * 1e6;
	struct target targets[TARGETS];
	struct times come = room_for(values, rounds), go = room_for(values, rounds);
	if (width < 1 || width > WIDEST || ports < width)
		die("width");
	try_ns = atof(argv[8]) * 1e3;
	place = address_of(argv[2], argv[3]);
	open_schedstats(argv + 9);
	srand48(now_ns());
	for (int i = 0; i < count; i++)
		targets[i] = (struct target){
			.protocol = kinds == 2 ? i % 2 : is_udp ? UDP : TCP, .client = -1};
	for (int round = 0; round < rounds; round++) {
		int from = round * count;
		for (int i = 0; i < count; i++)
			targets[i].port = first + (round * width + i / kinds) % ports;
		sleep_until(now_ns() + drand48() * pause);
		come.waited[round] = half_round(keeper, 'o', targets, count,
						unasked ? has_come_unasked : has_come,
						come.took + from, come.slack + from);
		sleep_until(now_ns() + drand48() * pause);
		go.waited[round] = half_round(keeper, 'c', targets, count, has_gone,
					      go.took + from, go.slack + from);
	}
	printf("{");
	print_way("come", &come, values, rounds, ", ");
	print_way("go", &go, values, rounds, "}\n");
	return 0;
}

/* ---- refuse ---- */

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "which architecture does seccomp call this?"
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define JUMP(value, if_equal, if_not) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, if_equal, if_not)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

/* Only the address of netlink has that length, and who asks for no groups need not bind. */
int refuse(char **argv)
{
	unsigned bpf = strstr(argv[0], "bpf") ? SYS_bpf : -1;
	unsigned events = strstr(argv[0], "events") ? SYS_bind : -1;
	struct sock_filter steps[] = {
		LOAD(arch),
		JUMP(ARCHITECTURE, 0, 6),
		LOAD(nr),
		JUMP(bpf, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		JUMP(events, 0, 2),
		LOAD(args[2]),
		JUMP(sizeof(struct sockaddr_nl), 1, 0),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		die("seccomp");
	execvp(argv[1], argv + 1);
	die(argv[1]);
}
