/*
 * Streams of a pod: its log, followed line by line, and commands run in it.
 */

#ifndef MC_KUBE_STREAM_H
#define MC_KUBE_STREAM_H

#include "engine.h"
#include "kube.h"

typedef struct mc_kube_log_s   mc_kube_log_t;
typedef struct mc_kube_exec_s  mc_kube_exec_t;

/* Follows the output of MC_CONTAINER from after `since` (RFC 3339, "": from
 * its start), across log rotation, cuts and restarts of the container, with no
 * line lost or doubled. line gets every line, its time, and in the end, when
 * the pod is gone, once stream NULL. Lines longer than 16 KB are cut. NULL: no
 * memory. */
mc_kube_log_t *mc_kube_log_follow(mc_kube_t *kube, uv_loop_t *loop,
    const char *ns, const char *pod, const char *since, mc_engine_line_pt line,
    void *data);
void mc_kube_log_stop(mc_kube_log_t *log);

/* code: the command's exit code, -1: it could not be run, error says why. out
 * holds at most 64 KB of what it wrote to stdout, err of stderr. */
typedef void (*mc_kube_exec_pt)(void *data, int code, const char *out,
    size_t len, const char *err, const char *error);

/* Runs argv (NULL at the end) in MC_CONTAINER over a WebSocket
 * (v5.channel.k8s.io or v4). input may be NULL. The callback comes once, from
 * the loop. NULL: no memory. */
mc_kube_exec_t *mc_kube_exec(mc_kube_t *kube, uv_loop_t *loop, const char *ns,
    const char *pod, const char *const *argv, const char *input,
    unsigned timeout_ms, mc_kube_exec_pt done, void *data);
void mc_kube_exec_cancel(mc_kube_exec_t *exec);

#endif
