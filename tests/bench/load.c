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

enum { CHUNK = 1 << 18, BACKLOG = 4096, DIGEST = 32, MANY = -1 };

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

/* ---- SHA-256 (FIPS 180-4, section 6.2) ---- */

static const uint32_t K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

struct sha { uint32_t h[8]; uint64_t size; uint8_t block[64]; };

static void sha_start(struct sha *s)
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

static void sha_add(struct sha *s, const uint8_t *p, size_t n)
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

static void sha_end(struct sha *s, uint8_t digest[DIGEST])
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

static const char *hex(const uint8_t *digest, char *text)
{
	for (int i = 0; i < DIGEST; i++)
		sprintf(text + 2 * i, "%02x", digest[i]);
	return text;
}

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

static void serve_event(int epoll, struct epoll_event *event)
{
	char b[4096];
	int s = event->data.u64 & 0x7fffffff, is_echo = event->data.u64 >> 32 != 0;
	ssize_t n = recv(s, b, is_echo ? sizeof b : 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (is_echo && send_all(s, b, n))) {
		close(s);
		return;
	}
	if (is_echo)
		return;
	if (*b != 'e') {
		start_bulk(epoll, s, *b);
		return;
	}
	struct epoll_event echo = {.events = EPOLLIN, .data.u64 = (uint64_t)1 << 32 | (uint32_t)s};
	epoll_ctl(epoll, EPOLL_CTL_MOD, s, &echo);
	event->data.u64 = echo.data.u64;
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
	printf("{\"count\": %ld, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f", n, times[n / 2],
	       times[(long)(n * .99)], times[(long)(n * .999)]);
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
