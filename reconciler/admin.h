/*
 * The admin listener: GET /livez, /readyz and /metrics over HTTP/1.1, one
 * request a connection. For probes and Prometheus on a trusted address.
 */

#ifndef MC_ADMIN_H
#define MC_ADMIN_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

typedef struct mc_admin_s  mc_admin_t;

/* Whether the daemon is ready; why not, in a line of text. */
typedef bool (*mc_admin_ready_pt)(void *data, char *why, size_t size);

/* host is an IP address. NULL and a sentence when it cannot listen there. */
mc_admin_t *mc_admin_create(uv_loop_t *loop, const char *host, uint16_t port,
    mc_admin_ready_pt ready, void *data, char *err, size_t errlen);
void mc_admin_destroy(mc_admin_t *admin);       /* NULL is fine */

#endif
