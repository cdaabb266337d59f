/*
 * A connection to the Kubernetes API for a protocol of its own: libcurl makes
 * it, with TLS, credentials and proxy, and then leaves it to us.
 */

#ifndef MC_KUBE_DIAL_H
#define MC_KUBE_DIAL_H

#include "kube.h"

typedef struct mc_kube_dial_s  mc_kube_dial_t;

typedef struct {
    /* Connected. request is the first line and the headers that libcurl knows
     * (Host, Authorization), each with CRLF. */
    void  (*connected)(void *data, const char *request);
    /* The socket can be read or written again. */
    void  (*ready)(void *data);
    /* It came to nothing; at most once, and nothing after it. */
    void  (*failed)(void *data, const char *error);
    void   *data;
} mc_kube_dial_handlers_t;

/* GET of the path. The callbacks come from the loop. NULL: no memory. */
mc_kube_dial_t *mc_kube_dial(mc_kube_t *kube, uv_loop_t *loop,
    const char *path, const mc_kube_dial_handlers_t *handlers);

/* Bytes moved; 0: not now, ready() comes; -1: the connection is over. */
ptrdiff_t mc_kube_dial_read(mc_kube_dial_t *d, void *p, size_t len);
ptrdiff_t mc_kube_dial_write(mc_kube_dial_t *d, const void *p, size_t len);

/* Whether ready() is wanted for writing, too. */
void mc_kube_dial_watch(mc_kube_dial_t *d, bool writable);

/* No callback comes any more. Allowed from within one. */
void mc_kube_dial_close(mc_kube_dial_t *d);

#endif
