/*
 * Shared by the files of the Kubernetes client.
 */

#ifndef MC_KUBE_PRIVATE_H
#define MC_KUBE_PRIVATE_H

#include "arena.h"
#include "http.h"
#include "kube.h"

/* What an HTTP answer means. Strings belong to the arena, to the answer, or
 * live for ever; host is for sentences. */
void mc_kube_reply_read(mc_kube_reply_t *out, const mc_http_reply_t *r,
    const char *host, mc_arena_t *arena);

#endif
