/*
 * What is there of a server, from the caches. Requests are needed only for
 * what no cache tells: whether an object that came before its server was known
 * is as wanted, and why a controller does not get on with its work.
 */

#include <stdio.h>
#include <string.h>
#include "engine_kube_private.h"
#include "log.h"
#include "mc_quantity.h"
#include "properties.h"


static void look_at_children(kube_op_t *op);


static const kube_value_t *
child(const kube_op_t *op, kube_child_t which)
{
    char                 name[MC_NAME_LEN + 1];
    const kube_value_t  *v;

    kube_child_name(name, which, &op->server);
    v = kube_value(op->kube, kube_child_kind[which], op->server.ns, name);
    return v && (which == KUBE_CHILD_POLICY
                 || strcmp(v->obj->meta.server_id, op->server.id) == 0)
           ? v : NULL;
}


static kube_value_t *
pod_of(const kube_op_t *op)
{
    char           name[MC_NAME_LEN + 1];
    kube_value_t  *v;

    mc_manifest_name(name, &op->server, MC_NAME_POD);
    v = kube_value(op->kube, KUBE_POD, op->server.ns, name);
    return v && strcmp(v->obj->meta.server_id, op->server.id) == 0 ? v : NULL;
}


static void
stale(mc_observed_t *obs, const char *what, const char *where)
{
    if (!obs->stale) {
        obs->stale = true;
        snprintf(obs->stale_what, sizeof(obs->stale_what), "%.40s%s%.50s",
                 what, *where ? ": " : "", where);
        mc_log(MC_LOG_DEBUG, "an object is not as it is wanted", "object", what,
               "where", where, NULL);
    }
}


/* -- the pod -- */

/* In an object's status the limit is written as the API likes it. */
static bool
same_quantity(const char *a, const char *b)
{
    return mc_quantity_milli(a) == mc_quantity_milli(b);
}


/* One that waits for its node to have room may have to be taken back. */
static void
look_at_cpu(kube_op_t *op, const kube_value_t *v)
{
    const mc_kube_pod_t  *pod = &v->obj->pod;
    const char           *cpu = mc_json_str(mc_json_at(op->server.spec,
                                                       "resources.cpu"), "1");

    if (pod->running && pod->cpu_limit[0] && !op->kube->no_resize
        && strcmp(v->asked, cpu) != 0
        && (!same_quantity(pod->cpu_limit, cpu) || pod->resize_reason[0]))
    {
        op->obs.resize = true;
    }
}


static void
look_at_pod(kube_op_t *op, const kube_value_t *set)
{
    mc_observed_t        *obs = &op->obs;
    const kube_value_t   *v = pod_of(op);
    const mc_kube_pod_t  *pod;

    if (v == NULL) {
        obs->pod = set == NULL || set->obj->meta.deleting
                   || set->obj->set.replicas == 0 ? MC_POD_ABSENT
                                                  : MC_POD_PENDING;
        return;
    }
    pod = &v->obj->pod;
    memcpy(obs->pod_hash, v->obj->meta.applied_hash, sizeof(obs->pod_hash));
    memcpy(obs->pod_restart, v->obj->meta.restart, sizeof(obs->pod_restart));
    obs->restarts = pod->restarts;
    obs->exit_code = pod->exit_code;
    obs->oom_killed = pod->oom_killed;
    obs->finished_ms = pod->finished_ms;

    if (v->obj->meta.deleting || (set && set->obj->set.replicas == 0)) {
        obs->pod = MC_POD_STOPPING;
    } else if (pod->running) {
        obs->pod = MC_POD_RUNNING;
    } else {
        obs->pod = MC_POD_PENDING;
    }
    if (pod->running) {
        obs->started_ms = pod->started_ms;
        snprintf(obs->rcon_host, sizeof(obs->rcon_host), "%s", pod->ip);
        obs->rcon_port = MC_RCON_PORT;
        snprintf(obs->ping_host, sizeof(obs->ping_host), "%s", pod->ip);
        obs->ping_port = strcmp(mc_json_str(mc_json_at(op->server.spec,
                                                       "software.type"), ""),
                                "velocity") == 0 ? MC_PROXY_PORT : MC_GAME_PORT;
    }
    if (obs->pod != MC_POD_STOPPING) {
        kube_pod_trouble(obs, pod, &op->server);
        look_at_cpu(op, v);
    }
}


/* -- what is around it -- */

static void
look_at_claim(kube_op_t *op)
{
    mc_observed_t       *obs = &op->obs;
    const kube_value_t  *v = child(op, KUBE_CHILD_CLAIM);
    const kube_value_t  *pod = pod_of(op);
    const char          *size;

    if (v == NULL) {
        return;
    }
    obs->volume = true;
    snprintf(obs->claim, sizeof(obs->claim), "%s", v->obj->meta.name);
    snprintf(obs->capacity, sizeof(obs->capacity), "%s",
             v->obj->claim.capacity);
    kube_claim_trouble(obs, v, pod && pod->obj->pod.unscheduled_message[0]);
    size = mc_json_str(mc_json_at(op->server.spec, "storage.size"), "10Gi");
    if (mc_quantity_milli(size) > mc_quantity_milli(v->obj->claim.size)
        && strcmp(v->asked, size) != 0)
    {
        stale(obs, v->obj->meta.name, "spec.resources.requests.storage");
    }
}


static void
look_at_service(kube_op_t *op)
{
    mc_observed_t            *obs = &op->obs;
    const kube_value_t       *v = child(op, KUBE_CHILD_SERVICE);
    const kube_value_t       *pod = pod_of(op);
    const mc_kube_service_t  *s;
    const char               *host;

    if (v == NULL) {
        return;
    }
    s = &v->obj->service;
    obs->port = MC_GAME_PORT;
    host = s->cluster_ip;
    if (strcmp(s->type, "NodePort") == 0) {
        host = pod ? pod->obj->pod.host_ip : "";
        obs->port = s->node_port;
    } else if (strcmp(s->type, "LoadBalancer") == 0) {
        host = s->ingress;
    }
    if (strcmp(host, "None") != 0) {
        snprintf(obs->host, sizeof(obs->host), "%s", host);
    }
}


static void
look_at_resource(kube_op_t *op)
{
    mc_observed_t          *obs = &op->obs;
    const kube_resource_t  *res = kube_resource(op->kube, &op->server);
    const mc_server_t      *s = &op->server;

    if (res && !s->gitops && res->gitops) {
        res = NULL;                     /* a stranger's */
    }
    if (res == NULL) {
        obs->resource_stale = !s->gitops && !s->deleted;
        return;
    }
    obs->resource = true;
    obs->resource_deleting = res->meta.deleting;
    obs->paused = res->paused;
    obs->resource_stale = !res->meta.deleting
                          && kube_resource_stale(op->kube, s, res, &op->alloc);
}


/* -- the questions that no cache answers -- */

static void
finish(kube_op_t *op)
{
    kube_op_ok(op);
}


static void
on_events(kube_op_t *op, const mc_kube_reply_t *r)
{
    mc_observed_t  *obs = &op->obs;
    char            reason[48], message[320];

    if (r->result == MC_KUBE_OK
        && kube_events_tell(&op->alloc, r->body, r->len, reason,
                            sizeof(reason), message, sizeof(message)))
    {
        if (op->about_claim) {
            snprintf(obs->storage_trouble.reason,
                     sizeof(obs->storage_trouble.reason), "VolumePending");
            snprintf(obs->storage_trouble.message,
                     sizeof(obs->storage_trouble.message),
                     "no volume was given to the world's claim yet: %s",
                     message);
        } else {
            kube_event_trouble(obs, reason, message);
        }
    }
    finish(op);
}


static void
ask_events(kube_op_t *op, const char *uid, bool claim)
{
    char            query[128];
    mc_kube_call_t  call = {
        .method = "GET", .type = &mc_kube_event, .ns = op->server.ns,
        .name = "", .subresource = "", .query = query
    };

    op->about_claim = claim;
    snprintf(query, sizeof(query),
             "fieldSelector=regarding.uid%%3D%s%%2Ctype%%3DWarning&limit=50",
             uid);
    kube_op_call(op, on_events, &call);
}


/* Why is there no pod, or why does it not get on? Its controllers tell in
 * Events. A cluster that gets on is not asked. */
static void
look_for_reasons(kube_op_t *op)
{
    mc_observed_t       *obs = &op->obs;
    const kube_value_t  *set = child(op, KUBE_CHILD_SET);
    const kube_value_t  *claim = child(op, KUBE_CHILD_CLAIM);
    const kube_value_t  *pod = pod_of(op);

    if (obs->pod != MC_POD_PENDING) {
        finish(op);
        return;
    }
    if (claim && pod && strcmp(claim->obj->claim.phase, "Pending") == 0) {
        ask_events(op, claim->obj->meta.uid, true);
    } else if (obs->trouble.reason[0] == '\0' && pod == NULL && set) {
        ask_events(op, set->obj->meta.uid, false);
    } else if (obs->trouble.reason[0] == '\0' && pod
               && pod->obj->pod.scheduled && pod->obj->pod.init_name[0] == '\0')
    {
        ask_events(op, pod->obj->meta.uid, false);
    } else {
        finish(op);
    }
}


static void
on_child(kube_op_t *op, const mc_kube_reply_t *r)
{
    kube_child_t   which = op->todo[op->at];
    kube_value_t  *v;
    char           name[MC_NAME_LEN + 1];

    if (r->result == MC_KUBE_OK) {
        /* taken over as something new, and verified on the way */
        kube_child_name(name, which, &op->server);
        v = kube_value(op->kube, kube_child_kind[which], op->server.ns, name);
        if (v) {
            kube_verify_again(op, which, v, r->body, r->len);
        }
    }
    op->at++;
    look_at_children(op);
}


/* One after the other; with an answer of the API in between where the text of
 * an object is needed. */
static void
look_at_children(kube_op_t *op)
{
    const kube_value_t  *v;
    kube_child_t         which;
    char                 name[MC_NAME_LEN + 1], hash[65];

    for (; op->at < op->n; op->at++) {
        which = op->todo[op->at];
        kube_child_name(name, which, &op->server);
        v = child(op, which);
        if (v == NULL) {
            stale(&op->obs, kube_types[kube_child_kind[which]]->kind,
                  "is missing");
            continue;
        }
        if (kube_wanted(op->kube, &op->alloc, which, &op->server, hash)
            == NULL)
        {
            kube_op_no_memory(op);
            return;
        }
        if (strcmp(v->obj->meta.applied_hash, hash) != 0) {
            stale(&op->obs, name, "is to be changed");
        } else if (strcmp(v->verified, hash) != 0
                   || v->verdict == KUBE_UNVERIFIED)
        {
            if (!op->again) {
                op->again = true;
                kube_op_get(op, on_child, kube_child_kind[which], name);
                return;
            }
        } else if (v->verdict == KUBE_DRIFTED) {
            stale(&op->obs, name, v->where);
        }
        op->again = false;
    }
    look_for_reasons(op);
}


/* -- a server of which nothing but the id is known -- */

static void
visit_resource(void *value, void *data)
{
    kube_resource_t  *res = value;
    kube_op_t        *op = data;

    if (strcmp(res->id, op->server.id) == 0) {
        op->obs.resource = true;
    }
}


static void
visit_child(void *value, void *data)
{
    kube_value_t  *v = value;
    kube_op_t     *op = data;

    if (strcmp(v->obj->meta.server_id, op->server.id) == 0) {
        op->obs.pod = MC_POD_CREATED;
    }
}


static void
look_for_any(kube_op_t *op)
{
    mc_informer_each(op->kube->inf[KUBE_RESOURCE], visit_resource, op);
    mc_informer_each(op->kube->inf[KUBE_SET], visit_child, op);
    mc_informer_each(op->kube->inf[KUBE_POD], visit_child, op);
    kube_op_ok(op);
}


static void
look(kube_op_t *op)
{
    static const kube_child_t  children[] = {
        KUBE_CHILD_POLICY, KUBE_CHILD_SECRET, KUBE_CHILD_CONFIG,
        KUBE_CHILD_HEADLESS, KUBE_CHILD_SERVICE, KUBE_CHILD_SET
    };
    mc_observed_t             *obs = &op->obs;
    const kube_value_t        *set = child(op, KUBE_CHILD_SET);

    if (!op->kube->synced) {
        kube_op_fail(op, "EngineUnavailable", true,
                     "the objects in the cluster are not all known yet");
        return;
    }
    obs->self_healing = true;
    if (op->server.ns[0] == '\0') {
        look_for_any(op);
        return;
    }
    obs->secret = child(op, KUBE_CHILD_SECRET) != NULL;
    look_at_resource(op);
    look_at_pod(op, set);
    look_at_service(op);
    look_at_claim(op);

    /* Without a pod the next one is made with all that belongs to it. */
    if (obs->pod == MC_POD_ABSENT || obs->pod == MC_POD_STOPPING
        || op->server.spec == NULL || op->server.deleted)
    {
        obs->stale = false;
        obs->stale_what[0] = '\0';
        finish(op);
        return;
    }
    memcpy(op->todo, children, sizeof(children));
    op->n = sizeof(children) / sizeof(children[0]);
    look_at_children(op);
}


void
kube_observe(mc_engine_t *e, const mc_server_t *s, mc_engine_observed_pt cb,
    void *data)
{
    kube_op(e, s, data, look)->observed = cb;
}
