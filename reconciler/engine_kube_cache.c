/*
 * What is there, as the watches tell: objects reduced to what is needed, and
 * whether they are as wanted. Every change of an object has its server looked
 * at, but for what we have just written ourselves.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine_kube_private.h"
#include "log.h"
#include "secret.h"


static void
hint(kube_t *k, const char *server_id)
{
    if (k->writing == NULL && server_id[0] != '\0') {
        k->handlers.hint(k->handlers.data, server_id);
    }
}


/* -- children -- */

/* Which child of the server an object is; KUBE_CHILD_N: none by its name. */
static kube_child_t
child_of(kube_kind_t kind, const char *name, const mc_server_t *s)
{
    char          own[MC_NAME_LEN + 1];
    kube_child_t  child;

    for (child = 0; child < KUBE_CHILD_N; child++) {
        if (kube_child_kind[child] == kind) {
            kube_child_name(own, child, s);
            if (strcmp(own, name) == 0) {
                return child;
            }
        }
    }
    return KUBE_CHILD_N;
}


/* The server that an object is verified against, if it is known. A tenant's
 * policy is the same for all of its servers. */
static const mc_server_t *
wanted_server(kube_t *k, kube_kind_t kind, const mc_kube_meta_t *meta,
    mc_server_t *any)
{
    if (kind == KUBE_POLICY) {
        memset(any, 0, sizeof(*any));
        memcpy(any->tenant_id, meta->tenant_id, sizeof(any->tenant_id));
        any->ns = meta->ns;
        any->name = (char *) "";
        any->uid = "";
        return any;
    }
    if (k->writing && strcmp(k->writing->server.id, meta->server_id) == 0) {
        return &k->writing->server;
    }
    return k->handlers.wanted(k->handlers.data, meta->server_id);
}


static void
compare(const kube_t *k, kube_child_t child, const mc_server_t *s,
    kube_value_t *v, const char *text, size_t len)
{
    mc_arena_t  *arena = mc_arena_create();
    mc_alloc_t   a = mc_arena_allocator(arena);
    mc_json_t   *wanted;

    if (arena) {
        wanted = kube_wanted(k, &a, child, s, v->verified);
        v->verdict = wanted ? kube_verify(&a, text, len, wanted, v->where,
                                          sizeof(v->where))
                            : KUBE_UNVERIFIED;
        mc_arena_destroy(arena);
    }
}


static void
verify(kube_t *k, kube_kind_t kind, kube_value_t *v, const char *text,
    size_t len)
{
    const mc_kube_meta_t  *meta = &v->obj->meta;
    mc_server_t            any;
    const mc_server_t     *s = wanted_server(k, kind, meta, &any);
    kube_child_t           child;

    if (s == NULL || (s->spec == NULL && kind != KUBE_POLICY)
        || strcmp(s->ns, meta->ns) != 0)
    {
        return;
    }
    child = child_of(kind, meta->name, s);
    if (child != KUBE_CHILD_N) {
        compare(k, child, s, v, text, len);
    }
}


void
kube_verify_again(kube_op_t *op, kube_child_t child, kube_value_t *v,
    const char *text, size_t len)
{
    compare(op->kube, child, &op->server, v, text, len);
}


static bool
to_verify(kube_kind_t kind)
{
    return kind != KUBE_POD && kind != KUBE_CLAIM && kind != KUBE_NAMESPACE;
}


/* A StatefulSet says much that changes nothing for us. */
static bool
tells_something(kube_kind_t kind, const kube_value_t *old,
    const kube_value_t *v)
{
    const mc_kube_object_t  *a, *b = v->obj;

    if (kind != KUBE_SET || old == NULL) {
        return true;
    }
    a = old->obj;
    return a->meta.generation != b->meta.generation
           || a->meta.deleting != b->meta.deleting
           || a->set.current != b->set.current
           || strcmp(a->meta.uid, b->meta.uid) != 0
           || strcmp(a->meta.applied_hash, b->meta.applied_hash) != 0
           || strcmp(a->meta.server_id, b->meta.server_id) != 0
           || strcmp(a->meta.owner_uid, b->meta.owner_uid) != 0
           || v->verdict != KUBE_AS_WANTED;
}


static void
value_free(kube_value_t *v)
{
    mc_kube_object_free(v->obj);
    free(v);
}


static void *
child_put(void *data, void *old_value, const mc_kube_meta_t *meta,
    const char *text, size_t len, bool changed)
{
    kube_watch_t  *w = data;
    kube_value_t  *old = old_value, *v;

    if (old && !changed) {
        return old;
    }
    v = calloc(1, sizeof(*v));
    if (v) {
        v->obj = mc_kube_object_read(text, len);
    }
    if (v == NULL || v->obj == NULL) {
        mc_log(MC_LOG_ERROR, "an object cannot be understood", "kind",
               kube_types[w->kind]->kind, "namespace", meta->ns, "name",
               meta->name, NULL);
        free(v);
        return old;
    }
    if (old && strcmp(old->obj->meta.uid, v->obj->meta.uid) == 0) {
        memcpy(v->asked, old->asked, sizeof(v->asked));
        memcpy(v->refused, old->refused, sizeof(v->refused));
    }
    if (to_verify(w->kind)) {
        verify(w->kube, w->kind, v, text, len);
    }
    if (w->kind == KUBE_POLICY) {
        /* all of the tenant's servers are mended by the first one */
        if (v->verdict == KUBE_DRIFTED && w->kube->writing == NULL) {
            w->kube->handlers.hint(w->kube->handlers.data, NULL);
        }
    } else if (tells_something(w->kind, old, v)) {
        hint(w->kube, v->obj->meta.server_id);
    }
    if (old) {
        value_free(old);
    }
    return v;
}


static void
child_gone(void *data, void *value)
{
    kube_watch_t  *w = data;
    kube_value_t  *v = value;

    if (!w->kube->destroyed) {
        if (w->kind == KUBE_POLICY) {
            w->kube->handlers.hint(w->kube->handlers.data, NULL);
        } else {
            hint(w->kube, v->obj->meta.server_id);
        }
    }
    value_free(v);
}


/* -- MinecraftServers -- */

static void
resource_free(kube_resource_t *res)
{
    mc_kube_object_free(res->obj);
    free(res->text);
    free(res);
}


static bool
has_finalizer(const mc_json_t *meta)
{
    const mc_json_t  *f = mc_json_get(meta, "finalizers");

    for (f = f ? f->child : NULL; f; f = f->next) {
        if (strcmp(mc_json_str(f, ""), KUBE_FINALIZER) == 0) {
            return true;
        }
    }
    return false;
}


/* Keeps of the object's text what is needed again. */
static int
keep_text(kube_resource_t *res, const mc_alloc_t *a, mc_json_t *v)
{
    static const char *const  keep[] = { "labels", "annotations", "finalizers" };
    mc_json_t                *o = mc_json_object(a), *meta = mc_json_object(a);
    mc_json_t                *m, *spec = mc_json_get(v, "spec");
    mc_json_t                *status = mc_json_get(v, "status");
    char                     *text;
    size_t                    i, len;

    if (o == NULL || meta == NULL) {
        return -1;
    }
    for (i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
        m = mc_json_at(mc_json_get(v, "metadata"), keep[i]);
        if (m && mc_json_set(a, meta, keep[i], mc_json_copy(a, m)) != 0) {
            return -1;
        }
    }
    if ((spec && (text = kube_text(a, spec, &len)) == NULL)
        || mc_json_set(a, o, "metadata", meta) != 0)
    {
        return -1;
    }
    if (spec) {
        mc_sha256_hex(text, len, res->spec_hash);
        if (mc_json_set(a, o, "spec", mc_json_copy(a, spec)) != 0) {
            return -1;
        }
    }
    if (status) {
        text = kube_text(a, status, &len);
        if (text == NULL
            || mc_json_set(a, o, "status", mc_json_copy(a, status)) != 0)
        {
            return -1;
        }
        mc_sha256_hex(text, len, res->status_hash);
    }
    res->len = mc_json_write(NULL, 0, o);
    res->text = malloc(res->len + 1);
    if (res->text == NULL) {
        return -1;
    }
    mc_json_write(res->text, res->len + 1, o);
    return 0;
}


/* Who says what the server is to be like. Somebody may have taken the label
 * away from a row's resource: its annotation still tells. */
static void
classify(kube_resource_t *res, const mc_json_t *meta)
{
    const mc_json_t  *notes = mc_json_get(meta, "annotations");
    const char       *row = mc_json_str(mc_json_get(notes,
                                                    KUBE_ANNOTATION_ROW), "");
    const char       *owner = mc_json_str(mc_json_get(
                                  mc_json_get(meta, "labels"),
                                  KUBE_LABEL_OWNER), "");

    res->row_generation = *row ? strtoll(row, NULL, 10) : -1;
    res->gitops = strcmp(owner, "db") != 0 && *row == '\0';
    res->finalizer = has_finalizer(meta);
    res->paused = strcmp(mc_json_str(mc_json_get(notes,
                                                 KUBE_ANNOTATION_PAUSE), ""),
                         "true") == 0;
    res->purge = strcmp(mc_json_str(mc_json_get(notes,
                                                KUBE_ANNOTATION_PURGE), ""),
                        res->meta.name) == 0;
    if (res->gitops) {
        mc_kube_resource_id(res->meta.ns, res->meta.name, res->id);
    } else {
        memcpy(res->id, res->meta.server_id, sizeof(res->id));
    }
}


static kube_resource_t *
resource_read(const char *text, size_t len)
{
    kube_resource_t  *res = calloc(1, sizeof(*res));
    mc_arena_t       *arena = mc_arena_create();
    mc_alloc_t        a = mc_arena_allocator(arena);
    mc_json_error_t   err;
    mc_json_t        *v = NULL;

    if (res && arena) {
        res->obj = mc_kube_object_read(text, len);
        v = mc_json_parse(&a, text, len, &err);
    }
    if (res && (v == NULL || res->obj == NULL || keep_text(res, &a, v) != 0)) {
        resource_free(res);
        res = NULL;
    }
    if (res) {
        res->meta = res->obj->meta;
        classify(res, mc_json_get(v, "metadata"));
    }
    mc_arena_destroy(arena);
    return res;
}


/* A change of anything that is kept: labels, too, are part of what a row
 * wants. */
static bool
news(const kube_resource_t *old, const kube_resource_t *res)
{
    return old == NULL || strcmp(old->meta.uid, res->meta.uid) != 0
           || old->meta.generation != res->meta.generation
           || old->meta.deleting != res->meta.deleting
           || old->len != res->len
           || memcmp(old->text, res->text, res->len) != 0;
}


static void
tell(kube_t *k, const kube_resource_t *res)
{
    char  tenant[MC_UUID_LEN + 1];

    if (k->writing || k->destroyed) {
        return;
    }
    if (res->gitops) {
        kube_tenant(k, res->meta.ns, tenant);
        k->handlers.resource(k->handlers.data, tenant, res->id);
    } else {
        hint(k, res->id);
    }
}


typedef struct {
    kube_t      *kube;
    const char  *ns;
    const char  *tenant;
} moved_t;


static void
tell_moved(void *value, void *data)
{
    kube_resource_t  *res = value;
    moved_t          *m = data;

    if (res->gitops && strcmp(res->meta.ns, m->ns) == 0) {
        m->kube->handlers.resource(m->kube->handlers.data, m->tenant, res->id);
    }
}


/* A namespace has got another tenant, and so have the servers in it. */
static void
moved(kube_t *k, const char *ns, const char *tenant)
{
    moved_t  m = { k, ns, tenant };

    if (k->inf[KUBE_RESOURCE] && !k->destroyed) {
        mc_informer_each(k->inf[KUBE_RESOURCE], tell_moved, &m);
    }
}


static void *
namespace_put(void *data, void *old_value, const mc_kube_meta_t *meta,
    const char *text, size_t len, bool changed)
{
    kube_watch_t  *w = data;
    kube_value_t  *old = old_value;

    if (old == NULL || strcmp(old->obj->meta.tenant_id, meta->tenant_id) != 0) {
        moved(w->kube, meta->name, meta->tenant_id);
    }
    return child_put(data, old_value, meta, text, len, changed);
}


static void
namespace_gone(void *data, void *value)
{
    kube_watch_t  *w = data;
    kube_value_t  *v = value;
    char           tenant[MC_UUID_LEN + 1];

    mc_kube_resource_id(v->obj->meta.name, "", tenant);
    moved(w->kube, v->obj->meta.name, tenant);
    value_free(v);
}


static void
unlist(kube_t *k, kube_resource_t *res)
{
    if (res->listed) {
        mc_map_remove(k->sources, res->id);
        res->listed = false;
    }
}


static void *
resource_put(void *data, void *old_value, const mc_kube_meta_t *meta,
    const char *text, size_t len, bool changed)
{
    kube_watch_t     *w = data;
    kube_t           *k = w->kube;
    kube_resource_t  *old = old_value, *res;

    if (old && !changed) {
        return old;
    }
    res = resource_read(text, len);
    if (res == NULL) {
        mc_log(MC_LOG_ERROR, "a MinecraftServer cannot be understood",
               "namespace", meta->ns, "name", meta->name, NULL);
        return old;
    }
    if (old) {
        unlist(k, old);
        if (strcmp(old->meta.uid, res->meta.uid) == 0) {
            memcpy(res->row_wanted, old->row_wanted, 65);
            memcpy(res->row_there, old->row_there, 65);
            memcpy(res->status_wanted, old->status_wanted, 65);
            memcpy(res->status_there, old->status_there, 65);
        }
    }
    if (res->gitops && mc_map_get(k->sources, res->id) == NULL
        && mc_map_put(k->sources, res->id, res) == 0)
    {
        res->listed = true;
    }
    if (old && old->gitops && !res->gitops) {
        tell(k, old);               /* is not its own source any more */
    }
    if (news(old, res)) {
        tell(k, res);
    }
    if (old) {
        resource_free(old);
    }
    return res;
}


static void
resource_gone(void *data, void *value)
{
    kube_watch_t     *w = data;
    kube_resource_t  *res = value;

    unlist(w->kube, res);
    tell(w->kube, res);
    resource_free(res);
}


/* -- watching -- */

static void
synced(void *data)
{
    kube_watch_t  *w = data;
    kube_t        *k = w->kube;
    int            kind;

    if (w->kind == KUBE_NAMESPACE) {
        /* a server's tenant is its namespace's: they come first */
        if (kube_watch(k, KUBE_RESOURCE) != 0) {
            fputs("mchost-reconciler: out of memory\n", stderr);
            abort();
        }
    }
    for (kind = 0; kind < KUBE_KIND_N; kind++) {
        if (kind == KUBE_NAMESPACE && *k->conf.ns) {
            continue;
        }
        if (k->inf[kind] == NULL || !mc_informer_synced(k->inf[kind])) {
            return;
        }
    }
    if (!k->synced) {
        k->synced = true;
        k->handlers.synced(k->handlers.data);
    }
}


int
kube_watch(kube_t *k, kube_kind_t kind)
{
    kube_watch_t        *w = &k->watches[kind];
    mc_informer_conf_t   conf = {
        .type = kube_types[kind], .ns = "",
        .selector = "app.kubernetes.io/managed-by=mchost",
        .put = child_put, .gone = child_gone, .synced = synced, .data = w
    };

    w->kube = k;
    w->kind = kind;
    if (kube_types[kind]->namespaced) {
        conf.ns = k->conf.ns;
    }
    if (kind == KUBE_NAMESPACE) {
        conf.selector = MC_LABEL_TENANT;
        conf.put = namespace_put;
        conf.gone = namespace_gone;
    } else if (kind == KUBE_RESOURCE) {
        conf.selector = "";
        conf.put = resource_put;
        conf.gone = resource_gone;
    }
    k->inf[kind] = mc_informer_create(k->client, k->loop, &conf);
    return k->inf[kind] ? 0 : -1;
}


void
kube_unwatch_all(kube_t *k)
{
    int  kind;

    for (kind = 0; kind < KUBE_KIND_N; kind++) {
        if (k->inf[kind]) {
            mc_informer_destroy(k->inf[kind]);
            k->inf[kind] = NULL;
        }
    }
}


kube_value_t *
kube_value(const kube_t *k, kube_kind_t kind, const char *ns, const char *name)
{
    return k->inf[kind] ? mc_informer_get(k->inf[kind], ns, name) : NULL;
}


kube_resource_t *
kube_resource(const kube_t *k, const mc_server_t *s)
{
    return k->inf[KUBE_RESOURCE]
           ? mc_informer_get(k->inf[KUBE_RESOURCE], s->ns, s->name) : NULL;
}


void
kube_op_wrote(kube_op_t *op, kube_kind_t kind, const mc_kube_reply_t *r)
{
    kube_t  *k = op->kube;

    if (k->inf[kind] && r->len) {
        k->writing = op;
        mc_informer_wrote(k->inf[kind], r->body, r->len);
        k->writing = NULL;
    }
}


void
kube_op_lost(kube_op_t *op, kube_kind_t kind, const char *name,
    const char *uid)
{
    kube_t  *k = op->kube;

    if (k->inf[kind]) {
        k->writing = op;
        mc_informer_lost(k->inf[kind], op->server.ns, name, uid);
        k->writing = NULL;
    }
}


void
kube_op_deleted(kube_op_t *op, kube_kind_t kind, const char *name,
    const char *uid, const mc_kube_reply_t *r)
{
    /* the answer is the object when something still keeps it */
    if (r->result == MC_KUBE_OK && r->len
        && memmem(r->body, r->len, "\"deletionTimestamp\"", 19))
    {
        kube_op_wrote(op, kind, r);
    } else {
        kube_op_lost(op, kind, name, uid);
    }
}


void
kube_tenant(const kube_t *k, const char *ns, char id[MC_UUID_LEN + 1])
{
    const kube_value_t  *v = kube_value(k, KUBE_NAMESPACE, "", ns);

    if (v && v->obj->meta.tenant_id[0] != '\0') {
        memcpy(id, v->obj->meta.tenant_id, MC_UUID_LEN + 1);
    } else {
        mc_kube_resource_id(ns, "", id);
    }
}
