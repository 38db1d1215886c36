/* The benchmarks' traffic: server and clients, in C so that they are never the bottleneck.
 *
 * Built statically by tests/bench/stage.py, so that the same file runs on the desktop and in a
 * container without a file system. Every command prints one line of JSON, or a message on
 * standard error and exit status 1.
 *
 *   load server ADDRESS PORT             does what a connection's first byte says, see serve()
 *   load bulk ADDRESS PORT up|down STREAMS SECONDS
 *   load ping ADDRESS PORT SECONDS       round trips of PING_BYTES on one connection
 *   load connect ADDRESS PORT COUNT THREADS
 *   load idle ADDRESS PORT COUNT         until standard input ends
 *   load digest ADDRESS PORT up|down BYTES
 *   load sha256                          of standard input
 *   load udp-…                           see datagrams.c
 *   load keeper, brief, storm, standing  see listeners.c
 *   load come-and-go, refuse             see detection.c
 *
 * Counterpart: tests/bench/load.py.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "load.h"
#include "sha256.h"

enum { CHUNK = 1 << 18, BACKLOG = 4096, MANY = -1 };

void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

double now(void) { return now_ns() / 1e9; }

/* ---- sockets ---- */

struct sockaddr_in address_of(const char *host, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
		fprintf(stderr, "load: not an IPv4 address: %s\n", host);
		exit(1);
	}
	return a;
}

static int listen_on(const char *host, const char *port, int flags)
{
	struct sockaddr_in a = address_of(host, port);
	int one = 1, s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (s < 0)
		die("socket");
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, BACKLOG))
		die("listen");
	return s;
}

/* A connection that gives up when nothing happens for PATIENCE_SECONDS; -1 if there is none. */
static int connect_to(const struct sockaddr_in *a)
{
	struct timeval patience = {PATIENCE_SECONDS, 0};
	int one = 1, s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -1;
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(s, (const struct sockaddr *)a, sizeof *a)) {
		int number = errno;
		close(s);
		errno = number;
		return -1;
	}
	return s;
}

static int send_all(int s, const void *data, size_t n)
{
	while (n) {
		ssize_t sent = send(s, data, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return -1;
		data = (const char *)data + sent;
		n -= sent;
	}
	return 0;
}

static int receive_all(int s, void *data, size_t n)
{
	return recv(s, data, n, MSG_WAITALL) == (ssize_t)n ? 0 : -1;
}

static void *buffer(void)
{
	void *b = aligned_alloc(4096, CHUNK);
	if (!b)
		die("memory");
	return b;
}

/* ---- bytes nobody can guess by position: xorshift64 (Marsaglia 2003) ---- */

static void fill(uint64_t *state, uint64_t *words, size_t bytes)
{
	uint64_t x = *state;
	for (size_t i = 0; i < bytes / 8; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		words[i] = x;
	}
	*state = x;
}

/* Send `size` bytes, rounded up to whole chunks; their digest. */
static int send_digested(int s, uint64_t size, uint8_t digest[DIGEST])
{
	uint64_t state = 88172645463325252ULL ^ (uint64_t)now_ns(), *b = buffer();
	struct sha sha;
	int failed = 0;
	sha_start(&sha);
	for (uint64_t sent = 0; sent < size && !failed; sent += CHUNK) {
		fill(&state, b, CHUNK);
		sha_add(&sha, (uint8_t *)b, CHUNK);
		failed = send_all(s, b, CHUNK);
	}
	sha_end(&sha, digest);
	free(b);
	return failed;
}

/* Receive `size` bytes or, if that is 0, until end-of-file; their number and digest. */
static uint64_t receive_digested(int s, uint64_t size, uint8_t digest[DIGEST])
{
	uint8_t *b = buffer();
	uint64_t got = 0;
	struct sha sha;
	sha_start(&sha);
	while (!size || got < size) {
		size_t want = size && size - got < CHUNK ? size - got : CHUNK;
		ssize_t n = recv(s, b, want, 0);
		if (n <= 0)
			break;
		sha_add(&sha, b, n);
		got += n;
	}
	sha_end(&sha, digest);
	free(b);
	return got;
}

/* ---- server ---- */

/* What a connection's first byte asks for:
 *   e  echo whatever comes
 *   G  of GET: answer each HTTP request whose end is the end of what has come (RFC 9112, 2.1)
 *   u  upload: take until end-of-file, answer with the count (8 bytes)
 *   d  download: send until the client goes
 *   U  upload: take until end-of-file, answer with the SHA-256
 *   D  download: 8 bytes say how much; send it, then its SHA-256
 */
static void *serve_bulk(void *argument)
{
	int s = (int)((intptr_t)argument >> 8);
	char kind = (char)(intptr_t)argument;
	char *b = buffer();
	uint8_t digest[DIGEST];
	uint64_t count = 0;
	ssize_t n;
	memset(b, 'x', CHUNK);
	if (kind == 'u') {
		while ((n = recv(s, b, CHUNK, 0)) > 0)
			count += n;
		send_all(s, &count, sizeof count);
	} else if (kind == 'd') {
		while (!send_all(s, b, CHUNK))
			;
	} else if (kind == 'U') {
		receive_digested(s, 0, digest);
		send_all(s, digest, DIGEST);
	} else if (kind == 'D' && !receive_all(s, &count, sizeof count)) {
		if (!send_digested(s, count, digest))
			send_all(s, digest, DIGEST);
	}
	free(b);
	close(s);
	return NULL;
}

static void start_bulk(int epoll, int s, char kind)
{
	pthread_t thread;
	struct timeval patience = {PATIENCE_SECONDS, 0};
	epoll_ctl(epoll, EPOLL_CTL_DEL, s, NULL);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (pthread_create(&thread, NULL, serve_bulk, (void *)((intptr_t)s << 8 | kind)))
		die("thread");
	pthread_detach(thread);
}

enum mode { UNKNOWN, ECHO, HTTP };

static int answer(int s, enum mode mode, const char *b, ssize_t n)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
	if (mode == ECHO)
		return send_all(s, b, n);
	return n >= 4 && !memcmp(b + n - 4, "\r\n\r\n", 4) ? send_all(s, ok, sizeof ok - 1) : 0;
}

static void serve_event(int epoll, struct epoll_event *event)
{
	char b[4096];
	int s = event->data.u64 & 0x7fffffff;
	enum mode mode = event->data.u64 >> 32;
	ssize_t n = recv(s, b, mode == UNKNOWN ? 1 : sizeof b, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (mode != UNKNOWN && answer(s, mode, b, n))) {
		close(s);
		return;
	}
	if (mode != UNKNOWN)
		return;
	if (*b != 'e' && *b != 'G') {
		start_bulk(epoll, s, *b);
		return;
	}
	mode = *b == 'e' ? ECHO : HTTP;
	event->data.u64 = (uint64_t)mode << 32 | (uint32_t)s;
	struct epoll_event known = {.events = EPOLLIN, .data.u64 = event->data.u64};
	epoll_ctl(epoll, EPOLL_CTL_MOD, s, &known);
	serve_event(epoll, event);
}

static void serve_newcomers(int epoll, int listener)
{
	int s, one = 1;
	while ((s = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint32_t)s};
		setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		epoll_ctl(epoll, EPOLL_CTL_ADD, s, &event);
	}
}

static int server(char **argv)
{
	int listener = listen_on(argv[0], argv[1], SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[256], first = {.events = EPOLLIN, .data.u64 = (uint32_t)listener};
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &first))
		die("epoll");
	puts("{\"ready\": true}");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, 256, -1);
		for (int i = 0; i < n; i++)
			if (events[i].data.u64 == (uint32_t)listener)
				serve_newcomers(epoll, listener);
			else
				serve_event(epoll, &events[i]);
	}
	return 0;
}

/* ---- clients ---- */

static struct sockaddr_in target;
static pthread_barrier_t gate;
static atomic_ullong total;
static atomic_int failures;
static double deadline, duration;

static void open_gate(void)
{
	if (pthread_barrier_wait(&gate) == PTHREAD_BARRIER_SERIAL_THREAD)
		deadline = now() + duration;
	pthread_barrier_wait(&gate);
}

static void *upload(void *unused)
{
	int s = connect_to(&target);
	char *b = buffer();
	uint64_t mine = 0, theirs = 0;
	(void)unused;
	memset(b, 'x', CHUNK);
	if (s < 0 || send_all(s, "u", 1))
		failures++;
	open_gate();
	while (now() < deadline && !send_all(s, b, CHUNK))
		mine += CHUNK;
	shutdown(s, SHUT_WR);
	if (receive_all(s, &theirs, sizeof theirs) || theirs != mine)
		failures++;
	total += theirs;
	close(s);
	free(b);
	return NULL;
}

static void *download(void *unused)
{
	int s = connect_to(&target);
	char *b = buffer();
	ssize_t n = 1;
	(void)unused;
	if (s < 0 || send_all(s, "d", 1))
		failures++;
	open_gate();
	while (now() < deadline && (n = recv(s, b, CHUNK, 0)) > 0)
		total += n;
	if (n <= 0)
		failures++;
	close(s);
	free(b);
	return NULL;
}

static int bulk(char **argv)
{
	int streams = atoi(argv[3]);
	void *(*work)(void *) = strcmp(argv[2], "up") ? download : upload;
	pthread_t threads[256];
	duration = atof(argv[4]);
	target = address_of(argv[0], argv[1]);
	if (streams < 1 || streams > 256 || pthread_barrier_init(&gate, NULL, streams))
		die("streams");
	for (int i = 0; i < streams; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			die("thread");
	for (int i = 0; i < streams; i++)
		pthread_join(threads[i], NULL);
	printf("{\"bytes\": %llu, \"seconds\": %.6f, \"failures\": %d}\n", (unsigned long long)total,
	       now() - deadline + duration, failures);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return x < y ? -1 : x > y;
}

void print_times(float *times, long n)
{
	qsort(times, n, sizeof *times, by_value);
	printf("{\"count\": %ld, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f", n,
	       times[n / 2], times[(long)(n * .99)], times[(long)(n * .999)]);
}

static int ping(char **argv)
{
	enum { MOST = 1 << 20 };
	float *times = malloc(MOST * sizeof *times);
	char b[PING_BYTES];
	long n = 0;
	double begin, warm, end;
	target = address_of(argv[0], argv[1]);
	int s = connect_to(&target);
	if (!times || s < 0 || send_all(s, "e", 1))
		die("ping");
	memset(b, 'p', sizeof b);
	begin = now(), end = begin + atof(argv[2]), warm = begin + (end - begin) / 10;
	while (n < MOST && (begin = now()) < end) {
		if (send_all(s, b, sizeof b) || receive_all(s, b, sizeof b))
			die("ping");
		if (begin > warm)
			times[n++] = (now() - begin) * 1e6;
	}
	print_times(times, n);
	puts("}");
	return 0;
}

static atomic_long tickets;
static int first_errno;

/* Connect, one byte there and back, close; as often as there are tickets. */
static void *connect_often(void *unused)
{
	(void)unused;
	open_gate();
	for (long ticket; (ticket = --tickets) >= 0;) {
		char order[2] = {'e', (char)ticket}, back = (char)~ticket;
		int s = connect_to(&target);
		if (s < 0 || send_all(s, order, 2) || receive_all(s, &back, 1) || back != order[1]) {
			if (!failures++)
				first_errno = errno;
			if (s < 0)
				usleep(1000);
		}
		if (s >= 0)
			close(s);
	}
	return NULL;
}

static int connections(char **argv)
{
	int count = atoi(argv[2]), width = atoi(argv[3]);
	pthread_t threads[256];
	target = address_of(argv[0], argv[1]);
	tickets = count;
	if (width < 1 || width > 256 || pthread_barrier_init(&gate, NULL, width))
		die("threads");
	for (int i = 0; i < width; i++)
		if (pthread_create(&threads[i], NULL, connect_often, NULL))
			die("thread");
	for (int i = 0; i < width; i++)
		pthread_join(threads[i], NULL);
	printf("{\"count\": %d, \"seconds\": %.6f, \"failures\": %d, \"reason\": \"%s\"}\n", count,
	       now() - deadline, failures, failures ? strerror(first_errno) : "");
	return 0;
}

static int idle(char **argv)
{
	struct rlimit limit = {1 << 16, 1 << 16};
	int count = atoi(argv[2]), bad = 0;
	char b[2] = {'e', 'i'};
	setrlimit(RLIMIT_NOFILE, &limit);
	target = address_of(argv[0], argv[1]);
	for (int i = 0; i < count; i++) {
		int s = connect_to(&target);
		if (s < 0 || send_all(s, b, 2) || receive_all(s, b + 1, 1))
			bad++;
	}
	printf("{\"count\": %d, \"failures\": %d}\n", count, bad);
	fflush(stdout);
	while (read(0, b, 1) > 0)
		;
	return 0;
}

static int digest(char **argv)
{
	uint64_t size = strtoull(argv[3], NULL, 10), got = size;
	uint8_t mine[DIGEST] = {0}, theirs[DIGEST] = {1};
	char sent[2 * DIGEST + 1], received[2 * DIGEST + 1];
	int is_up = !strcmp(argv[2], "up"), failed;
	double begin = now();
	target = address_of(argv[0], argv[1]);
	int s = connect_to(&target);
	if (s < 0 || size % CHUNK)
		die("digest");
	if (is_up) {
		failed = send_all(s, "U", 1) || send_digested(s, size, mine);
		shutdown(s, SHUT_WR);
	} else {
		failed = send_all(s, "D", 1) || send_all(s, &size, sizeof size);
		got = receive_digested(s, size, mine);
	}
	failed |= receive_all(s, theirs, DIGEST);
	printf("{\"bytes\": %" PRIu64 ", \"seconds\": %.6f, \"failures\": %d, \"here\": \"%s\", "
	       "\"there\": \"%s\"}\n",
	       got, now() - begin, failed, hex(mine, sent), hex(theirs, received));
	return 0;
}

static int sha256(char **argv)
{
	uint8_t result[DIGEST], *b = buffer();
	char text[2 * DIGEST + 1];
	struct sha sha;
	ssize_t n;
	(void)argv;
	sha_start(&sha);
	while ((n = read(0, b, 1000)) > 0)
		sha_add(&sha, b, n);
	sha_end(&sha, result);
	printf("{\"digest\": \"%s\"}\n", hex(result, text));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int arguments; int (*run)(char **); } commands[] = {
		{"server", 2, server}, {"bulk", 5, bulk}, {"ping", 3, ping},
		{"connect", 4, connections}, {"idle", 3, idle}, {"digest", 4, digest},
		{"sha256", 0, sha256}, {"udp-server", 3, udp_server}, {"udp-ping", 3, udp_ping},
		{"udp-flood", 8, udp_flood}, {"udp-scatter", 5, udp_scatter},
		{"keeper", 1, keeper}, {"brief", 4, brief}, {"storm", 4, storm},
		{"standing", 2, standing}, {"come-and-go", 11, come_and_go}, {"refuse", MANY, refuse},
	};
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (argc > 1 && !strcmp(argv[1], commands[i].name) &&
		    (commands[i].arguments == MANY ? argc > 3 : argc == commands[i].arguments + 2))
			return commands[i].run(argv + 2);
	fprintf(stderr, "load: usage: see the top of load.c\n");
	return 1;
}
