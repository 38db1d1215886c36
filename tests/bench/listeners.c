/* Listeners in the container, few or many, that come and go.
 *
 *   load keeper SOCKET                   opens and closes on a Unix socket's orders, echoes UDP
 *   load brief FIRST COUNT PER_SECOND LIFE_MS,…
 *       COUNT TCP listeners, each on the next port and closed after the next of those lives
 *   load storm tcp|udp FIRST PORTS PER_SECOND
 *       until standard input ends: TCP listeners on PORTS ports in turn, or UDP sockets on ports
 *       of the kernel's choice; each is closed when the next one is there
 *   load standing FIRST COUNT            half TCP, half UDP, until standard input ends
 *
 * Counterparts: detection.c orders the keeper; tests/bench/brief.py, watching.py run the others.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "detection.h"
#include "load.h"

enum { BACKLOG = 4096, CLASSES = 16 };

/* The kernel's usual slack is 50 microseconds. */
void sleep_until(int64_t ns)
{
	struct timespec t = {ns / 1000000000, ns % 1000000000};
	prctl(PR_SET_TIMERSLACK, 1UL);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

void print_values(const char *name, const int64_t *ns, long n, const char *end)
{
	printf("\"%s\": [", name);
	for (long i = 0; i < n; i++)
		printf("%s%.1f", i ? ", " : "", ns[i] / 1e3);
	printf("]%s", end);
}

/* A listener on all addresses; -1 with errno if there cannot be one. */
static int open_listener(enum protocol protocol, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int one = 1, kind = protocol == TCP ? SOCK_STREAM : SOCK_DGRAM;
	int s = socket(AF_INET, kind | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -1;
	if (protocol == TCP)
		setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s, (struct sockaddr *)&a, sizeof a) || (protocol == TCP && listen(s, BACKLOG))) {
		int number = errno;
		close(s);
		errno = number;
		return -1;
	}
	return s;
}

static void allow_all_files(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int input_ended(int milliseconds)
{
	struct pollfd input = {.fd = 0, .events = POLLIN};
	char b[64];
	return poll(&input, 1, milliseconds) > 0 && read(0, b, sizeof b) <= 0;
}

/* ---- keeper ---- */

static int listeners[2][65536];

static void obey(const struct order *order, struct answer *answer, int epoll)
{
	answer->error = 0;
	for (int i = 0; i < order->count; i++) {
		int protocol = order->targets[i].protocol, port = order->targets[i].port;
		int *listener = &listeners[protocol][port], is_opening = order->verb == 'o';
		int64_t begin = now_ns();
		if (is_opening)
			*listener = open_listener(protocol, port);
		else
			close(*listener);
		answer->ns[i] = now_ns();
		answer->took[i] = answer->ns[i] - begin;
		if (*listener < 0) {
			answer->error = errno;
			return;
		}
		struct epoll_event event = {.events = EPOLLIN, .data.fd = *listener};
		if (is_opening && protocol == UDP)
			epoll_ctl(epoll, EPOLL_CTL_ADD, *listener, &event);
	}
}

static void echo(int s)
{
	struct sockaddr_in client;
	socklen_t size = sizeof client;
	char b[2048];
	ssize_t n = recvfrom(s, b, sizeof b, MSG_DONTWAIT, (struct sockaddr *)&client, &size);
	if (n >= 0)
		sendto(s, b, n, MSG_DONTWAIT, (struct sockaddr *)&client, size);
}

int keeper(char **argv)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_SEQPACKET, 0), epoll = epoll_create1(EPOLL_CLOEXEC);
	strncpy(a.sun_path, argv[0], sizeof a.sun_path - 1);
	if (s < 0 || epoll < 0 || bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 1))
		die("keeper");
	for (;;) {
		int c = accept(s, NULL, NULL), is_open = c >= 0;
		struct epoll_event event = {.events = EPOLLIN, .data.fd = c};
		if (!is_open || epoll_ctl(epoll, EPOLL_CTL_ADD, c, &event))
			die("accept");
		while (is_open && epoll_wait(epoll, &event, 1, -1) >= 0) {
			struct order order;
			struct answer answer;
			if (event.data.fd != c) {
				echo(event.data.fd);
				continue;
			}
			is_open = recv(c, &order, sizeof order, 0) == sizeof order;
			if (is_open) {
				obey(&order, &answer, epoll);
				is_open = send(c, &answer, sizeof answer, 0) > 0;
			}
		}
		close(c);
	}
	return 0;
}

/* ---- many ---- */

/* Listeners of one length of life close in the order in which they opened. */
struct class { int64_t life; int *queue, head, tail; };

static int parse_lives(char *text, struct class *classes, int count)
{
	int n = 0;
	for (char *word = strtok(text, ","); word && n < CLASSES; word = strtok(NULL, ","))
		classes[n++] = (struct class){atof(word) * 1e6, calloc(count, sizeof(int)), 0, 0};
	if (!n)
		die("lives");
	return n;
}

/* The class whose oldest listener is to close next; NULL if none is open. */
static struct class *next_to_close(struct class *classes, int n, const int64_t *opened)
{
	struct class *best = NULL;
	int64_t least = INT64_MAX;
	for (struct class *c = classes; c < classes + n; c++) {
		if (c->head == c->tail)
			continue;
		int64_t at = opened[c->queue[c->head]] + c->life;
		if (at < least)
			least = at, best = c;
	}
	return best;
}

int brief(char **argv)
{
	int first = atoi(argv[0]), count = atoi(argv[1]), done = 0, next = 0, failures = 0;
	double per_second = atof(argv[2]);
	struct class classes[CLASSES];
	int n = parse_lives(argv[3], classes, count), *sockets = calloc(count, sizeof(int));
	int64_t *opened = calloc(count, 8), *lived = calloc(count, 8), begin = now_ns();
	if (!sockets || !opened || !lived)
		die("memory");
	allow_all_files();
	while (done < count) {
		struct class *c = next_to_close(classes, n, opened);
		int64_t close_at = c ? opened[c->queue[c->head]] + c->life : INT64_MAX;
		int64_t open_at = next < count ? begin + next / per_second * 1e9 : INT64_MAX;
		sleep_until(close_at < open_at ? close_at : open_at);
		if (close_at < open_at) {
			int i = c->queue[c->head++];
			lived[i] = now_ns() - opened[i]; /* before close(), so never too long */
			close(sockets[i]);
			done++;
			continue;
		}
		c = &classes[next % n];
		sockets[next] = open_listener(TCP, first + next);
		opened[next] = now_ns();
		if (sockets[next] < 0)
			failures++, done++;
		else
			c->queue[c->tail++] = next;
		next++;
	}
	printf("{\"seconds\": %.3f, \"failures\": %d, ", (now_ns() - begin) / 1e9, failures);
	print_values("lived_us", lived, count, "}\n");
	return 0;
}

static int open_for_storm(enum protocol protocol, int port)
{
	int s = open_listener(protocol, port);
	if (s < 0)
		die("storm");
	return s;
}

int storm(char **argv)
{
	enum protocol protocol = strcmp(argv[0], "udp") ? TCP : UDP;
	int first = atoi(argv[1]), ports = atoi(argv[2]), before = -1;
	double per_second = atof(argv[3]);
	int64_t begin = now_ns();
	long count = 0;
	puts("{\"ready\": true}");
	fflush(stdout);
	for (; count % 64 || !input_ended(0); count++) {
		sleep_until(begin + count / per_second * 1e9);
		int s = open_for_storm(protocol, protocol == TCP ? first + count % ports : 0);
		close(before);
		before = s;
	}
	printf("{\"count\": %ld, \"seconds\": %.3f}\n", count, (now_ns() - begin) / 1e9);
	return 0;
}

int standing(char **argv)
{
	int first = atoi(argv[0]), count = atoi(argv[1]);
	allow_all_files();
	for (int i = 0; i < count; i++)
		if (open_listener(i % 2 ? UDP : TCP, first + i / 2) < 0)
			die("standing");
	printf("{\"count\": %d}\n", count);
	fflush(stdout);
	while (!input_ended(-1))
		;
	return 0;
}
