/*
 * The engine of Kubernetes: one StatefulSet a server, and what belongs to it,
 * from caches that watches keep up to date. It is also where MinecraftServer
 * resources that nobody has a row for come from.
 */

#ifndef MC_ENGINE_KUBE_H
#define MC_ENGINE_KUBE_H

#include "arena.h"
#include "engine.h"
#include "kube.h"

typedef struct {
    mc_kube_conf_t   client;
    const char      *ns;            /* look at this namespace only, "": all */
    const char      *ns_prefix;     /* of tenants' namespaces: "mchost-" */
    const char      *demo_image;
    const char      *instance;      /* of this process, for Events */
} mc_kube_engine_conf_t;

typedef struct {
    /* Something happened to a server: look at it. */
    mc_engine_hint_pt   hint;

    /* A MinecraftServer that is its own source (spec owner not db) was seen,
     * changed, or is gone for good (then mc_engine_kube_resource() says so). */
    void  (*resource)(void *data, const char *tenant_id, const char *server_id);

    /* Everything is listed: absence means absence from now on. */
    void  (*synced)(void *data);

    /* The server as it is wanted, when it is known; used to verify objects as
     * they arrive. NULL: not known (yet). */
    const mc_server_t *(*wanted)(void *data, const char *server_id);
    void  *data;
} mc_kube_engine_handlers_t;

/* NULL and a sentence when there are no usable credentials. Strings of conf
 * must live on. */
mc_engine_t *mc_engine_kube_create(uv_loop_t *loop,
    const mc_kube_engine_conf_t *conf,
    const mc_kube_engine_handlers_t *handlers, char *err, size_t errlen);

/* Begins to look at the objects of servers: to be called once the rows are
 * known (or there is no database). MinecraftServers are listed before. */
void mc_engine_kube_start(mc_engine_t *e);

/* A resource that is its own source, as a row: spec with defaults, in the
 * arena; status as last seen; deleted when it has a deletionTimestamp, purge
 * when its annotation mchost.io/purge-world names it. 1; 0 when there is none;
 * -1 when memory is out. */
int mc_engine_kube_resource(mc_engine_t *e, const char *server_id,
    mc_arena_t *arena, mc_server_t *s, mc_json_t **status,
    int64_t *observed_generation);

/* The namespace of a tenant's servers: prefix and id. */
void mc_engine_kube_namespace(const mc_engine_t *e, const char *tenant_id,
    char ns[64]);

/* The id of a resource that is its own source: a UUID (version 8, RFC 9562)
 * made from namespace and name, so that one applied again is the same server
 * and finds its world. name "" gives the namespace's tenant. */
void mc_kube_resource_id(const char *ns, const char *name,
    char id[MC_UUID_LEN + 1]);

#endif
