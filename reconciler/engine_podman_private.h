/*
 * Shared by engine_podman*.c. An operation (op_t) is a chain of requests about
 * one server: each step sends one and names the step that takes the answer.
 */

#ifndef MC_ENGINE_PODMAN_PRIVATE_H
#define MC_ENGINE_PODMAN_PRIVATE_H

#include <stdbool.h>
#include <uv.h>
#include "arena.h"
#include "engine_podman.h"
#include "http.h"
#include "manifest.h"

#define PODMAN_API         "/v4.0.0/libpod"
#define PODMAN_TIMEOUT_MS  30000
#define PODMAN_LOOK_MS     10000        /* of what changes nothing */
#define PODMAN_PULL_MS     (30 * 60 * 1000)

typedef struct podman_s  podman_t;
typedef struct op_s      op_t;

typedef void (*op_step_pt)(op_t *op, const mc_http_reply_t *r);

struct op_s {
    podman_t              *podman;
    op_t                  *prev, *next;     /* all of an engine */
    op_t                  *wait;            /* queue of the ports */
    mc_http_req_t         *req;
    op_step_pt             step;
    op_step_pt             then;            /* after a chain within a chain */
    op_step_pt             step_at_rest;    /* looks whether the pod rests */
    mc_arena_t            *arena;
    mc_server_t            server;          /* a copy; spec may be NULL */
    char                   name[MC_NAME_LEN + 1];
    char                   config[MC_NAME_LEN + 1];
    mc_engine_done_pt      done;
    mc_engine_observed_pt  observed;
    mc_engine_usage_pt     usage;
    void                  *data;
    mc_observed_t          obs;
    mc_usage_t             used;
    mc_engine_error_t      error;           /* to tell after cleaning up */
    int                    grace;
    bool                   world;           /* of remove_storage */
    bool                   again;           /* the second try */
    void                 (*later)(op_t *op); /* NULL: nothing to wait for */
    uint64_t               due;             /* loop time */
    uint16_t               port;
    unsigned               tries;
};

typedef struct podman_events_s  podman_events_t;

struct podman_s {
    mc_engine_t         base;
    uv_loop_t          *loop;
    mc_http_t          *http;
    char               *demo_image;
    char               *address;
    char                network[64];
    char                bridge[16];
    bool                network_there;
    bool                not_isolated;       /* and said so */
    uint16_t            port_first, port_last;
    mc_engine_hint_pt   hint;
    void               *hint_data;
    bool                up;                 /* the last request was answered */
    op_t               *ops;
    op_t               *ports_first, *ports_last;
    uv_timer_t          defer;              /* of op->later */
    podman_events_t    *events;
    mc_engine_log_t    *logs;
    bool                destroyed;
    unsigned            handles;
};

/* -- engine_podman.c -- */

/* An operation about a server. */
op_t *podman_op(mc_engine_t *e, const mc_server_t *s, void *data);

/* Sends the next request; step gets the answer. body may be NULL. */
void podman_op_send(op_t *op, op_step_pt step, const char *method,
    const char *path, const char *type, const char *body);

/* The same without a place among the short ones, with a time of its own. A
 * body is YAML. */
void podman_op_send_slow(op_t *op, op_step_pt step, const char *method,
    const char *path, const char *body, unsigned timeout_ms);

/* Ends the operation. */
void podman_op_ok(op_t *op);
void podman_op_fail(op_t *op, const mc_engine_error_t *err);

/* Ends it with what Podman answered, or did not. */
void podman_op_fail_reply(op_t *op, const mc_http_reply_t *r);

/* The same when memory ran out on the way. */
void podman_op_no_memory(op_t *op);

/* Calls fn from the loop in ms milliseconds; the operation waits. */
void podman_op_later(op_t *op, uint64_t ms, void (*fn)(op_t *op));

/* The answer's JSON, in the operation's arena, or NULL. */
mc_json_t *podman_op_json(op_t *op, const mc_http_reply_t *r);

/* Every answer comes by here: whether Podman is up. */
void podman_answered(podman_t *p, const mc_http_reply_t *r);

/* The end of a handle or stream of the engine's. */
void podman_handle_closed(podman_t *p);

/* -- engine_podman_error.c: pure -- */

/* What a reply that is no success means. */
void podman_reply_error(mc_engine_error_t *err, const mc_http_reply_t *r);
/* What Podman said in words. */
void podman_text_error(mc_engine_error_t *err, const char *text);
void podman_error(mc_engine_error_t *err, const char *reason, bool retry,
    const char *message);

/* -- the operations -- */

void podman_observe(mc_engine_t *e, const mc_server_t *s,
    mc_engine_observed_pt cb, void *data);
void podman_ensure_storage(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);
void podman_remove_storage(mc_engine_t *e, const mc_server_t *s, bool world,
    mc_engine_done_pt cb, void *data);
void podman_create(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);
void podman_start(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);
void podman_stop(mc_engine_t *e, const mc_server_t *s, int grace,
    mc_engine_done_pt cb, void *data);
void podman_remove(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);

void podman_usage(mc_engine_t *e, const mc_server_t *s, mc_engine_usage_pt cb,
    void *data);

mc_engine_log_t *podman_log_follow(mc_engine_t *e, const mc_server_t *s,
    const char *since, mc_engine_line_pt line, void *data);
void podman_log_stop(mc_engine_log_t *log);
void podman_logs_destroy(podman_t *p);

podman_events_t *podman_events_create(podman_t *p);
void podman_events_destroy(podman_events_t *ev);

/* -- engine_podman_storage.c -- */

/* Makes the secret anew, then calls step with NULL; or ends op. */
void podman_renew_secret(op_t *op, op_step_pt step);

/* The game port in a volume's labels, 0: none. */
uint16_t podman_volume_port(const mc_json_t *volume);

/* An operation that ends while it has its turn at the ports. */
void podman_ports_leave(op_t *op);

/* Asks for the world's volume; step gets the reply, 404 when there is none. */
void podman_look_volume(op_t *op, op_step_pt step);

/* -- engine_podman_network.c -- */

/* Sees to the pods' network, then calls step with NULL; or ends op. */
void podman_network(op_t *op, op_step_pt step);

/* Keeps the pods that run from reaching each other, and each other's RCON:
 * an isolated port of a bridge reaches the host and what is behind it. */
void podman_isolate(podman_t *p);

#endif
