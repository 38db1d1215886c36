/* The benchmarks' UDP traffic: the half of the load program that load.c's main() hands on to.
 *
 *   load udp-server ADDRESS PORT SOCKET    echo, count and send; orders come on a Unix socket
 *   load udp-ping ADDRESS PORT SECONDS     round trips of PING_BYTES, one after the other
 *   load udp-flood ADDRESS PORT SOCKET up|down SIZE FLOWS RATE SECONDS
 *                                          RATE in datagrams per second, 0 for no limit
 *   load udp-scatter ADDRESS PORT SOCKET COUNT RATE
 *                                          one datagram from each of COUNT sources on loopback
 *
 * A datagram says of which run, flow and place in its flow it is, and all other bytes follow from
 * that: the receiver sees what is wrong, came twice, or is another flow's. One flow sends BATCH
 * datagrams per call, several take turns, one datagram each. No offload: as plain programs do it.
 *
 * A run is begun by order, and each of its flows joins it with a datagram that is answered. Times
 * are of one clock, which all namespaces of a computer share.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

enum {
	BATCH = 64,
	ROOM = 2048,			/* bytes for one datagram */
	MOST_FLOWS = 256,
	MOST_DATAGRAMS = 1 << 22,	/* of one flow in one run */
	BUFFER_BYTES = 8 << 20,
	ANSWER_MS = 200,		/* an answer later than that is none */
	POLL_MS = 20,
	QUIET_MS = 100,			/* nothing came for so long: all has come, */
	SOURCES_QUIET_MS = 500,		/* and for many new flows, which are more work */
	LEAST_REST_NS = 50000,
};

struct head { char kind, zero[3]; uint32_t run, flow, number; };
enum { ECHO = 'e', JOIN = 'j', FLOOD = 'f' };

struct flow {
	int sock;
	struct sockaddr_in peer;	/* of the server's flows; a client's socket is connected */
	uint32_t next;			/* to send, or to come if the order is kept */
	uint64_t *seen;			/* a bit per datagram that came */
};

struct tally {
	uint64_t sent, received, wrong, doubled, crossed, disordered, echoed;
	int64_t first_ns, last_ns;	/* sent, came */
};

struct order { char kind; uint32_t run, flows, size; double rate, seconds; };
enum { BEGIN = 'b', TELL = 't', SEND = 's' };

/* What this process knows of the run: the server and its clients have one each. */
static struct { uint32_t id, flows, size; struct flow flow[MOST_FLOWS]; struct tally tally; } run;

struct batch {
	uint64_t room[BATCH][ROOM / 8];
	struct sockaddr_in peers[BATCH];
	struct iovec pieces[BATCH];
	struct mmsghdr messages[BATCH];
};

static struct batch *new_batch(void)
{
	struct batch *b = calloc(1, sizeof *b);
	if (!b)
		die("memory");
	return b;
}

/* ---- runs and their datagrams ---- */

static void begin_run(uint32_t id, uint32_t flows, uint32_t size)
{
	if (flows < 1 || flows > MOST_FLOWS || size < sizeof(struct head) || size > ROOM || size % 8) {
		errno = EINVAL;
		die("flows or size");
	}
	for (uint32_t i = 0; i < run.flows; i++)
		free(run.flow[i].seen);
	memset(&run, 0, sizeof run);
	run.id = id, run.flows = flows, run.size = size;
	for (uint32_t i = 0; i < flows; i++)
		if (!(run.flow[i].seen = calloc(MOST_DATAGRAMS / 64, sizeof(uint64_t))))
			die("memory");
}

static uint32_t new_id(void) { return (uint32_t)now_ns() ^ (uint32_t)getpid() << 16; }

/* The word after the head; those after it count on. Odd numbers of xxHash, for spread only. */
static uint64_t first_word(const struct head *h)
{
	return ((uint64_t)h->run << 32 | h->flow) * 0x9e3779b185ebca87ULL +
	       h->number * 0xc2b2ae3d27d4eb4fULL;
}

static void compose(uint64_t *words, char kind, uint32_t flow, uint32_t number)
{
	struct head h = {.kind = kind, .run = run.id, .flow = flow, .number = number};
	uint64_t word = first_word(&h);
	memcpy(words, &h, sizeof h);
	for (size_t i = sizeof h / 8; i < run.size / 8; i++)
		words[i] = word++;
}

static int is_intact(const uint64_t *words, const struct head *h)
{
	uint64_t word = first_word(h), difference = 0;
	for (size_t i = sizeof *h / 8; i < run.size / 8; i++)
		difference |= words[i] ^ word++;
	return !difference;
}

/* Judge a flood's datagram, which came to the socket of flow `to` or, if that is NULL, from
 * `peer`. One of an earlier run is not counted. */
static void take(const uint64_t *words, size_t size, struct flow *to, const struct sockaddr_in *peer)
{
	struct tally *tally = &run.tally;
	struct head h = {0};
	memcpy(&h, words, size < sizeof h ? size : sizeof h);
	if (size >= sizeof h && h.run != run.id)
		return;
	if (size != run.size || h.flow >= run.flows || h.number >= MOST_DATAGRAMS ||
	    !is_intact(words, &h)) {
		tally->wrong++;
		return;
	}
	struct flow *flow = &run.flow[h.flow];
	uint64_t bit = 1ULL << h.number % 64, *seen = &flow->seen[h.number / 64];
	if (to ? to != flow : flow->peer.sin_port != peer->sin_port ||
			      flow->peer.sin_addr.s_addr != peer->sin_addr.s_addr) {
		tally->crossed++;
	} else if (*seen & bit) {
		tally->doubled++;
	} else {
		*seen |= bit;
		tally->received++;
		tally->disordered += h.number < flow->next;
		if (h.number >= flow->next)
			flow->next = h.number + 1;
	}
}

static int socket_with_buffers(void)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = BUFFER_BYTES;
	if (s < 0)
		die("socket");
	/* Beyond the system's limit for those who may; up to it for others. */
	if (setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
		setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size))
		setsockopt(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	return s;
}

/* Take what is there, at least one datagram unless `flags` say not to wait; how many. */
static int receive_batch(int s, struct batch *b, int flags)
{
	for (int i = 0; i < BATCH; i++) {
		b->pieces[i] = (struct iovec){b->room[i], ROOM};
		b->messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &b->pieces[i], .msg_iovlen = 1,
			.msg_name = &b->peers[i], .msg_namelen = sizeof b->peers[i]};
	}
	return recvmmsg(s, b->messages, BATCH, flags, NULL);
}

/* Send the next `count` of a flow; how many of them the system took. */
static int send_batch(struct batch *b, struct flow *flow, int count)
{
	if (flow->next + count > MOST_DATAGRAMS) {
		errno = EFBIG;
		die("flood");
	}
	for (int i = 0; i < count; i++) {
		compose(b->room[i], FLOOD, flow - run.flow, flow->next + i);
		b->pieces[i] = (struct iovec){b->room[i], run.size};
		b->messages[i].msg_hdr = (struct msghdr){.msg_iov = &b->pieces[i], .msg_iovlen = 1};
		if (flow->peer.sin_port) {
			b->messages[i].msg_hdr.msg_name = &flow->peer;
			b->messages[i].msg_hdr.msg_namelen = sizeof flow->peer;
		}
	}
	int sent = sendmmsg(flow->sock, b->messages, count, 0);
	if (sent < 0) {
		if (errno != ECONNREFUSED && errno != ENOBUFS && errno != EAGAIN)
			die("send");
		return 0;
	}
	flow->next += sent;
	return sent;
}

/* Sleep until the datagram after `sent` is due, but not so short that sleeping is all there is. */
static void rest(double begin, uint64_t sent, double rate)
{
	int64_t wait = (begin + sent / rate - now()) * 1e9;
	struct timespec t = {0, wait < LEAST_REST_NS ? LEAST_REST_NS : wait};
	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static void flood(double rate, double seconds)
{
	struct batch *b = new_batch();
	struct tally *tally = &run.tally;
	uint64_t burst = run.flows == 1 ? BATCH : 1;
	double begin = now(), t;
	prctl(PR_SET_TIMERSLACK, 1);
	tally->first_ns = now_ns();
	for (uint32_t turn = 0; (t = now() - begin) < seconds;) {
		uint64_t due = rate > 0 ? (uint64_t)(t * rate) + 1 : tally->sent + burst;
		if (due <= tally->sent) {
			rest(begin, tally->sent, rate);
			continue;
		}
		due -= tally->sent;
		tally->sent += send_batch(b, &run.flow[turn], due < burst ? due : burst);
		turn = (turn + 1) % run.flows;
	}
	free(b);
}

/* ---- server ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int server_socket;

static void join(const uint64_t *words, const struct sockaddr_in *peer)
{
	struct head h;
	memcpy(&h, words, sizeof h);
	if (h.run == run.id && h.flow < run.flows) {
		run.flow[h.flow].peer = *peer;
		run.flow[h.flow].sock = server_socket;
	}
}

/* Judge a batch; those to be answered are moved to its front. Returns how many these are. */
static int judge_batch(struct batch *b, int count)
{
	int answers = 0;
	int64_t at = now_ns();
	pthread_mutex_lock(&lock);
	for (int i = 0; i < count; i++) {
		size_t size = b->messages[i].msg_len;
		char kind = size ? *(char *)b->room[i] : ECHO;
		if (kind != ECHO && kind != JOIN) {
			take(b->room[i], size, NULL, &b->peers[i]);
			run.tally.last_ns = at;
			continue;
		}
		if (kind == ECHO)
			run.tally.echoed++;
		else if (size >= sizeof(struct head))
			join(b->room[i], &b->peers[i]);
		b->pieces[i].iov_len = size;
		b->messages[answers++] = b->messages[i];
	}
	pthread_mutex_unlock(&lock);
	return answers;
}

static void *serve_datagrams(void *unused)
{
	struct batch *b = new_batch();
	(void)unused;
	for (;;) {
		int count = receive_batch(server_socket, b, MSG_WAITFORONE);
		if (count < 0 && errno != EINTR)
			die("receive");
		int answers = count > 0 ? judge_batch(b, count) : 0, sent = 0, n = 1;
		while (sent < answers && n > 0) {
			n = sendmmsg(server_socket, b->messages + sent, answers - sent, 0);
			sent += n > 0 ? n : 0;
		}
	}
	return NULL;
}

static void obey(const struct order *order, struct tally *tally)
{
	if (order->kind == SEND)
		flood(order->rate, order->seconds);
	pthread_mutex_lock(&lock);
	if (order->kind == BEGIN)
		begin_run(order->run, order->flows, order->size);
	*tally = run.tally;
	pthread_mutex_unlock(&lock);
}

static struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	strncpy(a.sun_path, path, sizeof a.sun_path - 1);
	return a;
}

int udp_server(char **argv)
{
	struct sockaddr_in a = address_of(argv[0], argv[1]);
	struct sockaddr_un u = unix_address(argv[2]);
	struct order order;
	struct tally tally;
	pthread_t thread;
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	server_socket = socket_with_buffers();
	if (bind(server_socket, (struct sockaddr *)&a, sizeof a))
		die("bind");
	if (s < 0 || bind(s, (struct sockaddr *)&u, sizeof u) || listen(s, 8))
		die("orders");
	if (pthread_create(&thread, NULL, serve_datagrams, NULL))
		die("thread");
	puts("{\"ready\": true}");
	fflush(stdout);
	for (;;) {
		int c = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		if (c < 0)
			die("accept");
		while (recv(c, &order, sizeof order, 0) == sizeof order) {
			obey(&order, &tally);
			if (send(c, &tally, sizeof tally, MSG_NOSIGNAL) < 0)
				break;
		}
		close(c);
	}
	return 0;
}

/* ---- clients ---- */

static struct sockaddr_in target;
static int orders;

static void dial_orders(const char *path)
{
	struct sockaddr_un u = unix_address(path);
	orders = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (orders < 0 || connect(orders, (struct sockaddr *)&u, sizeof u))
		die(path);
}

static struct tally ask(struct order order)
{
	struct tally tally;
	if (send(orders, &order, sizeof order, MSG_NOSIGNAL) < 0 ||
	    recv(orders, &tally, sizeof tally, 0) != sizeof tally)
		die("orders");
	return tally;
}

/* What the server has got once nothing more comes. */
static struct tally ask_when_quiet(int quiet_ms)
{
	struct order tell = {.kind = TELL};
	struct tally before = ask(tell), tally = before;
	double end = now() + PATIENCE_SECONDS;
	for (int quiet = 0; quiet < quiet_ms && now() < end; quiet += POLL_MS) {
		usleep(POLL_MS * 1000);
		tally = ask(tell);
		if (tally.received != before.received || tally.echoed != before.echoed)
			quiet = -POLL_MS;
		before = tally;
	}
	return tally;
}

static int connected_socket(void)
{
	struct timeval patience = {0, ANSWER_MS * 1000};
	int s = socket_with_buffers();
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(s, (struct sockaddr *)&target, sizeof target))
		die("connect");
	return s;
}

/* Receive until the answer to `words` comes. False if none comes in time. */
static int receive_answer(int s, const uint64_t *words)
{
	uint64_t b[ROOM / 8];
	double end = now() + ANSWER_MS / 1e3;
	do {
		ssize_t n = recv(s, b, sizeof b, 0);
		if (n < 0)
			return 0;
		if (n == run.size && !memcmp(b, words, n))
			return 1;
	} while (now() < end);
	return 0;
}

static void join_run(void)
{
	uint64_t words[ROOM / 8];
	for (uint32_t i = 0; i < run.flows; i++) {
		int s = run.flow[i].sock = connected_socket();
		double end = now() + PATIENCE_SECONDS;
		compose(words, JOIN, i, 0);
		while (send(s, words, run.size, 0) < 0 || !receive_answer(s, words)) {
			if (now() > end)
				die("no answer");
			usleep(1000);
		}
	}
}

static void drain(struct flow *flow, struct batch *b)
{
	int count;
	while ((count = receive_batch(flow->sock, b, MSG_DONTWAIT)) > 0) {
		run.tally.last_ns = now_ns();
		for (int i = 0; i < count; i++)
			take(b->room[i], b->messages[i].msg_len, flow, NULL);
	}
}

/* Have the server send, and take what comes. Returns what the server says of it. */
static struct tally receive_flood(double rate, double seconds)
{
	struct order order = {.kind = SEND, .rate = rate, .seconds = seconds};
	struct pollfd watched[MOST_FLOWS + 1];
	struct tally theirs = {0};
	struct batch *b = new_batch();
	double end = now() + seconds + PATIENCE_SECONDS;
	for (uint32_t i = 0; i < run.flows; i++)
		watched[i] = (struct pollfd){run.flow[i].sock, POLLIN, 0};
	watched[run.flows] = (struct pollfd){orders, POLLIN, 0};
	if (send(orders, &order, sizeof order, MSG_NOSIGNAL) < 0)
		die("orders");
	while (now() < end) {
		int is_over = watched[run.flows].fd < 0;
		int ready = poll(watched, run.flows + 1, is_over ? QUIET_MS : PATIENCE_SECONDS * 1000);
		if (ready <= 0)
			break;
		for (uint32_t i = 0; i < run.flows; i++)
			if (watched[i].revents)
				drain(&run.flow[i], b);
		if (watched[run.flows].revents) {
			if (recv(orders, &theirs, sizeof theirs, 0) != sizeof theirs)
				die("orders");
			watched[run.flows] = (struct pollfd){-1, 0, 0};
		}
	}
	free(b);
	return theirs;
}

/* Seconds to arrive are those from the first that was sent to the last that came. */
int udp_flood(char **argv)
{
	int is_up = !strcmp(argv[3], "up");
	double rate = atof(argv[6]), seconds = atof(argv[7]);
	struct tally sent, came;
	target = address_of(argv[0], argv[1]);
	dial_orders(argv[2]);
	begin_run(new_id(), atoi(argv[5]), atoi(argv[4]));
	ask((struct order){.kind = BEGIN, .run = run.id, .flows = run.flows, .size = run.size});
	join_run();
	if (is_up) {
		flood(rate, seconds);
		sent = run.tally, came = ask_when_quiet(QUIET_MS);
	} else {
		sent = receive_flood(rate, seconds), came = run.tally;
	}
	printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"seconds\": %.6f, "
	       "\"seconds_to_arrive\": %.6f, ",
	       sent.sent, came.received, seconds,
	       came.received ? (came.last_ns - sent.first_ns) / 1e9 : 0.);
	printf("\"wrong\": %" PRIu64 ", \"doubled\": %" PRIu64 ", \"crossed\": %" PRIu64
	       ", \"disordered\": %" PRIu64 "}\n",
	       came.wrong, came.doubled, came.crossed, came.disordered);
	return 0;
}

int udp_ping(char **argv)
{
	enum { MOST = 1 << 20 };
	float *times = malloc(MOST * sizeof *times);
	uint64_t words[PING_BYTES / 8];
	long n = 0, late = 0;
	double begin, warm, end;
	target = address_of(argv[0], argv[1]);
	begin_run(new_id(), 1, PING_BYTES);
	int s = connected_socket();
	if (!times)
		die("memory");
	begin = now(), end = begin + atof(argv[2]), warm = begin + (end - begin) / 10;
	for (uint32_t number = 0; n < MOST && (begin = now()) < end; number++) {
		compose(words, ECHO, 0, number);
		if (send(s, words, sizeof words, 0) < 0 || !receive_answer(s, words))
			late++;
		else if (begin > warm)
			times[n++] = (now() - begin) * 1e6;
	}
	if (!n) {
		errno = ETIMEDOUT;
		die("ping");
	}
	print_times(times, n);
	printf(", \"late\": %ld}\n", late);
	return 0;
}

/* ---- many sources ---- */

enum { HELD = 4096, FIRST_PORT = 10000, PORTS = 50000 };

/* A socket with the address of source `number`, connected; -1 if somebody has that. */
static int source_socket(uint32_t number)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(FIRST_PORT + number % PORTS)};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffff) + ((1 + number / PORTS) << 8) + 1);
	if (s < 0)
		die("socket");
	if (!bind(s, (struct sockaddr *)&a, sizeof a) &&
	    !connect(s, (struct sockaddr *)&target, sizeof target))
		return s;
	if (errno != EADDRINUSE)
		die("source");
	close(s);
	return -1;
}

/* Close the socket of flow `number`: 1 if its answer has come, 0 if none has, -1 if another has. */
static int close_source(int s, uint32_t number)
{
	uint64_t b[ROOM / 8], words[ROOM / 8];
	ssize_t n = recv(s, b, sizeof b, MSG_DONTWAIT);
	compose(words, ECHO, number, 0);
	close(s);
	return n < 0 ? 0 : n == run.size && !memcmp(b, words, n) ? 1 : -1;
}

/* Each socket is closed when HELD others were opened after it. */
int udp_scatter(char **argv)
{
	struct rlimit files = {2 * HELD, 2 * HELD};
	uint32_t count = atoi(argv[3]), sent = 0, results[3] = {0};
	double rate = atof(argv[4]), begin = now(), seconds;
	uint64_t words[ROOM / 8], echoed;
	int held[HELD];
	uint32_t numbers[HELD];
	target = address_of(argv[0], argv[1]);
	setrlimit(RLIMIT_NOFILE, &files);
	dial_orders(argv[2]);
	begin_run(new_id(), 1, PING_BYTES);
	echoed = ask((struct order){.kind = TELL}).echoed;
	for (uint32_t number = 0; sent < count && number < 2 * count; number++) {
		int s = source_socket(number), slot = sent % HELD;
		if (s < 0)
			continue;
		if (sent >= HELD)
			results[1 + close_source(held[slot], numbers[slot])]++;
		compose(words, ECHO, number, 0);
		if (send(s, words, run.size, 0) < 0)
			die("send");
		held[slot] = s, numbers[slot] = number, sent++;
		while (rate > 0 && now() < begin + sent / rate)
			rest(begin, sent, rate);
	}
	seconds = now() - begin;
	echoed = ask_when_quiet(SOURCES_QUIET_MS).echoed - echoed;
	for (uint32_t slot = 0; slot < HELD && slot < sent; slot++)
		results[1 + close_source(held[slot], numbers[slot])]++;
	printf("{\"sent\": %u, \"received\": %" PRIu64 ", \"answered\": %u, \"crossed\": %u, "
	       "\"seconds\": %.6f}\n",
	       sent, echoed, results[2], results[0], seconds);
	return 0;
}
