/*
 * Shared by engine_kube*.c. What is there comes from caches that informers
 * keep (engine_kube_cache.c); an operation (kube_op_t) is a chain of requests
 * about one server: each step sends one and names the step that takes the
 * answer.
 */

#ifndef MC_ENGINE_KUBE_PRIVATE_H
#define MC_ENGINE_KUBE_PRIVATE_H

#include <stdbool.h>
#include <uv.h>
#include "arena.h"
#include "engine_kube.h"
#include "informer.h"
#include "kube_event.h"
#include "kube_stream.h"
#include "manifest.h"
#include "map.h"

#define KUBE_MANAGER         "mchost-reconciler"
#define KUBE_MANAGER_ROW     "mchost-db"
#define KUBE_MANAGER_STATUS  "mchost-status"
#define KUBE_FINALIZER       "mchost.io/world"

#define KUBE_LABEL_OWNER       "mchost.io/spec-owner"
#define KUBE_ANNOTATION_ROW    "mchost.io/db-generation"
#define KUBE_ANNOTATION_PAUSE  "mchost.io/paused"
#define KUBE_ANNOTATION_PURGE  "mchost.io/purge-world"

typedef struct kube_s     kube_t;
typedef struct kube_op_s  kube_op_t;

/* What is watched. */
typedef enum {
    KUBE_RESOURCE, KUBE_NAMESPACE, KUBE_SET, KUBE_POD, KUBE_SERVICE,
    KUBE_CONFIG, KUBE_SECRET, KUBE_CLAIM, KUBE_POLICY, KUBE_KIND_N
} kube_kind_t;

/* What a server consists of, in the order of making it. */
typedef enum {
    KUBE_CHILD_POLICY, KUBE_CHILD_SECRET, KUBE_CHILD_CLAIM, KUBE_CHILD_CONFIG,
    KUBE_CHILD_HEADLESS, KUBE_CHILD_SERVICE, KUBE_CHILD_SET, KUBE_CHILD_N
} kube_child_t;

typedef enum { KUBE_UNVERIFIED, KUBE_AS_WANTED, KUBE_DRIFTED } kube_verdict_t;

/* What is kept of an object, by kind, namespace and name. */
typedef struct {
    mc_kube_object_t  *obj;
    kube_verdict_t     verdict;         /* against the body of that hash: */
    char               verified[65];
    char               where[80];       /* of the difference */
    char               asked[32];       /* of a pod: the CPU, of a claim: the
                                         * size that was asked for already */
    char               refused[240];    /* why the claim cannot grow to it */
} kube_value_t;

/* What is kept of a MinecraftServer. */
typedef struct {
    mc_kube_meta_t     meta;            /* strings of its own */
    mc_kube_object_t  *obj;             /* whose meta it is */
    char               id[MC_UUID_LEN + 1];
    bool               gitops;          /* is its own source */
    bool               listed;          /* in kube_t.sources */
    bool               finalizer;
    bool               paused, purge;
    int64_t            row_generation;  /* annotation, -1: none */
    char              *text;            /* {"metadata":{"labels",…},"spec",
                                         * "status"} */
    size_t             len;
    char               spec_hash[65];   /* of the texts of both members */
    char               status_hash[65];

    /* Of what we wrote last: what was wanted, and what came of it. */
    char               row_wanted[65], row_there[65];
    char               status_wanted[65], status_there[65];
} kube_resource_t;

typedef struct {
    kube_t       *kube;
    kube_kind_t   kind;
} kube_watch_t;

struct kube_s {
    mc_engine_t                base;
    uv_loop_t                 *loop;
    mc_kube_engine_conf_t      conf;
    mc_kube_engine_handlers_t  handlers;
    mc_kube_t                 *client;
    mc_kube_events_t          *events;
    kube_watch_t               watches[KUBE_KIND_N];
    mc_informer_t             *inf[KUBE_KIND_N];
    mc_map_t                  *sources;     /* gitops resources by server id */
    kube_op_t                 *ops;
    kube_op_t                 *writing;     /* whose answer is taken over */
    mc_engine_log_t           *logs;
    uv_timer_t                 defer;       /* of op->later */
    bool                       started;     /* mc_engine_kube_start() */
    bool                       synced;
    bool                       no_resize;   /* the cluster is too old */
    bool                       destroyed;
};

typedef void (*kube_step_pt)(kube_op_t *op, const mc_kube_reply_t *r);
typedef void (*kube_then_pt)(kube_op_t *op);

struct kube_op_s {
    kube_t                *kube;
    kube_op_t             *prev, *next;     /* all of an engine */
    mc_kube_req_t         *req;
    mc_kube_exec_t        *exec;
    kube_step_pt           step;
    kube_then_pt           then;            /* after a chain within a chain */
    mc_arena_t            *arena;
    mc_alloc_t             alloc;
    mc_server_t            server;          /* a copy; spec may be NULL */
    mc_engine_done_pt      done;            /* one of these is set */
    mc_engine_observed_pt  observed;
    mc_engine_output_pt    output;
    void                  *data;
    kube_then_pt           later;           /* NULL: nothing to wait for */
    uint64_t               due;             /* loop time */

    mc_observed_t          obs;
    mc_engine_error_t      error;
    mc_json_t             *status;          /* of publish_status */
    char                   hash[65];        /* of what is being written */
    int                    grace;
    int                    replicas;
    bool                   world;           /* of remove_storage */
    bool                   last;            /* no finalizer but ours is left */
    bool                   about_claim;     /* what Events are asked for */
    bool                   again;           /* the second try */
    char                  *command;

    kube_child_t           todo[KUBE_CHILD_N];
    unsigned               n, at;
};

/* -- engine_kube.c -- */

/* An operation about a server, begun from the loop by first. */
kube_op_t *kube_op(mc_engine_t *e, const mc_server_t *s, void *data,
    kube_then_pt first);

/* Calls fn from the loop in ms milliseconds; the operation waits. */
void kube_op_later(kube_op_t *op, uint64_t ms, kube_then_pt fn);

/* Ends the operation. */
void kube_op_ok(kube_op_t *op);
void kube_op_fail(kube_op_t *op, const char *reason, bool retry,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* With what the API answered, or did not. */
void kube_op_fail_reply(kube_op_t *op, const mc_kube_reply_t *r);
void kube_op_no_memory(kube_op_t *op);
/* Its callback was called already. */
void kube_op_drop(kube_op_t *op);

/* Requests; step gets the answer. `type` is that of a kind that is watched. */
void kube_op_get(kube_op_t *op, kube_step_pt step, kube_kind_t kind,
    const char *name);
void kube_op_apply(kube_op_t *op, kube_step_pt step, kube_kind_t kind,
    const char *name, const char *subresource, const char *manager,
    const mc_json_t *body);
void kube_op_patch(kube_op_t *op, kube_step_pt step, kube_kind_t kind,
    const char *name, const mc_json_t *patch);
void kube_op_delete(kube_op_t *op, kube_step_pt step, kube_kind_t kind,
    const char *name, const char *uid, int grace);
/* A PATCH of another kind: strategic merge, merge. */
void kube_op_merge(kube_op_t *op, kube_step_pt step, kube_kind_t kind,
    const char *name, const char *subresource, const char *content_type,
    const mc_json_t *body);
void kube_op_call(kube_op_t *op, kube_step_pt step, mc_kube_call_t *call);

/* The text of a tree, in the operation's arena; NULL: no memory. */
char *kube_text(const mc_alloc_t *a, const mc_json_t *v, size_t *len);

/* A step of a JSON patch: {"op":…,"path":…,"value":…} at the end of patch. */
void kube_patch_add(const mc_alloc_t *a, mc_json_t *patch, const char *op,
    const char *path, mc_json_t *value);

extern const mc_kube_type_t *const kube_types[KUBE_KIND_N];

/* -- engine_kube_cache.c -- */

/* Starts to list and watch one kind. -1: no memory. */
int kube_watch(kube_t *k, kube_kind_t kind);
void kube_unwatch_all(kube_t *k);

/* What is kept of an object; NULL: it is not there. */
kube_value_t *kube_value(const kube_t *k, kube_kind_t kind, const char *ns,
    const char *name);
kube_resource_t *kube_resource(const kube_t *k, const mc_server_t *s);

/* Compares what is there with what is wanted, once more. */
void kube_verify_again(kube_op_t *op, kube_child_t child, kube_value_t *v,
    const char *text, size_t len);

/* Takes over the answer of a write, or of a read. */
void kube_op_wrote(kube_op_t *op, kube_kind_t kind, const mc_kube_reply_t *r);

/* An object of that uid is gone. */
void kube_op_lost(kube_op_t *op, kube_kind_t kind, const char *name,
    const char *uid);

/* The answer of a delete: whether the object is gone. */
void kube_op_deleted(kube_op_t *op, kube_kind_t kind, const char *name,
    const char *uid, const mc_kube_reply_t *r);

/* The tenant that a namespace belongs to. */
void kube_tenant(const kube_t *k, const char *ns, char id[MC_UUID_LEN + 1]);

/* -- engine_kube_wanted.c -- */

extern const kube_kind_t kube_child_kind[KUBE_CHILD_N];

void kube_child_name(char dst[MC_NAME_LEN + 1], kube_child_t child,
    const mc_server_t *s);

/* The object as it is to be applied, without uid, a set with one replica, with
 * its applied-hash annotation, which is in hash as well. NULL: no memory. */
mc_json_t *kube_wanted(const kube_t *k, const mc_alloc_t *a,
    kube_child_t child, const mc_server_t *s, char hash[65]);

/* Compares an object as the API gives it with the one that is wanted: what
 * mc_kube_contains() sees, but for the replicas. */
kube_verdict_t kube_verify(const mc_alloc_t *a, const char *text, size_t len,
    const mc_json_t *wanted, char *where, size_t size);

/* -- engine_kube_words.c: pure -- */

/* What a reply that is no success means. */
void kube_reply_error(mc_engine_error_t *err, const mc_kube_reply_t *r);

/* What is wrong with a pod, if anything: obs->trouble. */
void kube_pod_trouble(mc_observed_t *obs, const mc_kube_pod_t *pod,
    const mc_server_t *s);
/* What is wrong with the world's volume: obs->storage_trouble. waited_for: a
 * pod cannot be put on a node yet. */
void kube_claim_trouble(mc_observed_t *obs, const kube_value_t *claim,
    bool waited_for);

/* What an Event tells of a pod that is not there, or does not start. */
void kube_event_trouble(mc_observed_t *obs, const char *reason,
    const char *message);

/* What a list of Events tells: its newest warning. False: there is none. */
bool kube_events_tell(const mc_alloc_t *a, const char *text, size_t len,
    char *reason, size_t reason_size, char *message, size_t message_size);

/* -- engine_kube_apply.c -- */

/* Sees to the namespace of a row's server, then calls then; or ends op. */
void kube_ensure_namespace(kube_op_t *op, kube_then_pt then);

/* Applies op->todo[0..n), then calls then; or ends op. */
void kube_apply_children(kube_op_t *op, kube_then_pt then);

/* The uid of the server's MinecraftServer, "" while there is none. */
const char *kube_owner_uid(const kube_t *k, const mc_server_t *s);

/* -- engine_kube_resource.c -- */

/* Whether the resource lacks its finalizer or is not what the row says. */
bool kube_resource_stale(const kube_t *k, const mc_server_t *s,
    const kube_resource_t *res, const mc_alloc_t *a);

/* -- the operations -- */

void kube_observe(mc_engine_t *e, const mc_server_t *s,
    mc_engine_observed_pt cb, void *data);
void kube_ensure_storage(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);
void kube_create(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);
void kube_apply(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);
void kube_start(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);
void kube_stop(mc_engine_t *e, const mc_server_t *s, int grace,
    mc_engine_done_pt cb, void *data);
void kube_remove(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);
void kube_remove_storage(mc_engine_t *e, const mc_server_t *s, bool world,
    mc_engine_done_pt cb, void *data);
void kube_resize(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);
void kube_ensure_resource(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);
void kube_remove_resource(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data);
void kube_publish_status(mc_engine_t *e, const mc_server_t *s,
    const mc_json_t *status, mc_engine_done_pt cb, void *data);
void kube_event(mc_engine_t *e, const mc_server_t *s, bool warning,
    const char *reason, const char *message);
void kube_console(mc_engine_t *e, const mc_server_t *s, const char *command,
    mc_engine_output_pt cb, void *data);
mc_engine_log_t *kube_log_follow(mc_engine_t *e, const mc_server_t *s,
    const char *since, mc_engine_line_pt line, void *data);
void kube_log_stop(mc_engine_log_t *log);
void kube_logs_destroy(kube_t *k);

#endif
