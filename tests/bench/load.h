/* What the parts of the load program share: load.c (TCP, main), datagrams.c (UDP), listeners.c and
 * detection.c. */
#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <stdint.h>

enum { PING_BYTES = 64, PATIENCE_SECONDS = 10 };

/* End the program with this message and errno's. */
void die(const char *what) __attribute__((noreturn));

int64_t now_ns(void);
double now(void);

/* Ends the program if it is not an address and a port. */
struct sockaddr_in address_of(const char *host, const char *port);

/* Print {"count", "p50_us", "p99_us", "p999_us"} of `n` times, which get sorted, and leave the object open. */
void print_times(float *times, long n);

int udp_server(char **argv);
int udp_ping(char **argv);
int udp_flood(char **argv);
int udp_scatter(char **argv);

int keeper(char **argv);
int brief(char **argv);
int storm(char **argv);
int standing(char **argv);

int come_and_go(char **argv);
int refuse(char **argv);

#endif
