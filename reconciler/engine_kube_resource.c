/*
 * The MinecraftServer of a server. One that a row made follows the row,
 * whatever others write into it; one that is its own source gets a finalizer
 * from us and nothing else.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine_kube_private.h"
#include "secret.h"
#include "store.h"


void
mc_kube_resource_id(const char *ns, const char *name,
    char id[MC_UUID_LEN + 1])
{
    char    text[640], h[65];
    size_t  n;

    n = (size_t) snprintf(text, sizeof(text), "mchost.io/%s/%.255s", ns, name);
    mc_sha256_hex(text, n < sizeof(text) ? n : sizeof(text) - 1, h);
    /* version 8; the variant's two bits in front of the fourth group */
    snprintf(id, MC_UUID_LEN + 1, "%.8s-%.4s-8%.3s-%c%.3s-%.12s", h, h + 8,
             h + 13, "89ab"[(h[16] <= '9' ? h[16] - '0' : h[16] - 'a' + 10) & 3],
             h + 17, h + 20);
}


/* -- as a row -- */

static mc_json_t *
text_of(const kube_resource_t *res, const mc_alloc_t *a)
{
    mc_json_error_t  err;

    return mc_json_parse(a, res->text, res->len, &err);
}


int
mc_engine_kube_resource(mc_engine_t *e, const char *server_id,
    mc_arena_t *arena, mc_server_t *s, mc_json_t **status,
    int64_t *observed_generation)
{
    kube_t                 *k = (kube_t *) e;
    const kube_resource_t  *res = mc_map_get(k->sources, server_id);
    mc_alloc_t              a = mc_arena_allocator(arena);
    mc_json_t              *v, *spec;

    if (res == NULL) {
        return 0;
    }
    memset(s, 0, sizeof(*s));
    memcpy(s->id, res->id, sizeof(s->id));
    kube_tenant(k, res->meta.ns, s->tenant_id);
    s->name = mc_arena_strdup(arena, res->meta.name);
    s->ns = mc_arena_strdup(arena, res->meta.ns);
    s->uid = mc_arena_strdup(arena, res->meta.uid);
    s->generation = res->meta.generation;
    s->gitops = true;
    s->deleted = res->meta.deleting;
    s->purge = res->purge;
    v = text_of(res, &a);
    spec = mc_json_get(v, "spec");
    if (spec == NULL && v) {
        spec = mc_json_object(&a);
    }
    s->spec = spec;
    *status = mc_json_get(v, "status");
    *observed_generation = mc_json_int(mc_json_get(*status,
                                                   "observedGeneration"), 0);
    return s->name && s->ns && s->uid && s->spec
           && mc_store_defaults(&a, s->spec) == 0 ? 1 : -1;
}


/* -- in line with the row -- */

static bool
set_text(const mc_alloc_t *a, mc_json_t *o, const char *key, const char *text)
{
    return o && mc_json_set(a, o, key,
                            mc_json_string(a, text, strlen(text))) == 0;
}


static mc_json_t *
row_labels(const kube_t *k, const mc_server_t *s, const mc_alloc_t *a)
{
    mc_manifest_t   m = { .a = a, .server = s,
                          .demo_image = k->conf.demo_image };
    mc_json_t      *labels = mc_manifest_labels(&m);

    return set_text(a, labels, KUBE_LABEL_OWNER, "db") ? labels : NULL;
}


/* What a comparison of two specs remembers. */
static int
spec_hash(const mc_server_t *s, const mc_alloc_t *a, char hash[65])
{
    size_t   len;
    char    *text = s->spec ? kube_text(a, s->spec, &len) : NULL;

    if (text == NULL) {
        return -1;
    }
    mc_sha256_hex(text, len, hash);
    return 0;
}


/* Whether the resource has the row's spec. What came of our last write is as
 * good as it gets, even if the API has put something else into it. */
static bool
same_spec(const mc_server_t *s, const kube_resource_t *res,
    const mc_alloc_t *a)
{
    char        hash[65], where[96];
    mc_json_t  *there;

    if (spec_hash(s, a, hash) != 0) {
        return true;
    }
    if (strcmp(res->row_wanted, hash) == 0
        && strcmp(res->row_there, res->spec_hash) == 0)
    {
        return true;
    }
    there = mc_json_get(text_of(res, a), "spec");
    return there && mc_kube_contains(there, s->spec, where, sizeof(where))
           && mc_kube_contains(s->spec, there, where, sizeof(where));
}


bool
kube_resource_stale(const kube_t *k, const mc_server_t *s,
    const kube_resource_t *res, const mc_alloc_t *a)
{
    mc_json_t  *labels, *there;
    char        where[96];

    if (!res->finalizer) {
        return true;
    }
    if (s->gitops) {
        return false;
    }
    if (res->row_generation != s->generation || !same_spec(s, res, a)) {
        return true;
    }
    labels = row_labels(k, s, a);
    there = mc_json_at(text_of(res, a), "metadata.labels");
    return labels && !mc_kube_contains(there, labels, where, sizeof(where));
}


/* -- ensure_resource -- */

static void
conflict(kube_op_t *op)
{
    kube_op_fail(op, "NameConflict", false, "there is a MinecraftServer \"%s\" "
                 "in namespace \"%s\" already that belongs to nobody's row",
                 op->server.name, op->server.ns);
}


static void
on_ensured(kube_op_t *op, const mc_kube_reply_t *r)
{
    kube_resource_t  *res;
    bool              edited = op->again;

    if (r->result == MC_KUBE_INVALID && r->field[0] == '\0') {
        /* the test of the resourceVersion: somebody was faster */
        kube_op_fail(op, "Conflict", true,
                     "the MinecraftServer was changed at the same time");
        return;
    }
    if (r->result != MC_KUBE_OK) {
        kube_op_fail_reply(op, r);
        return;
    }
    kube_op_wrote(op, KUBE_RESOURCE, r);
    res = kube_resource(op->kube, &op->server);
    if (res && !op->server.gitops) {
        memcpy(res->row_wanted, op->hash, sizeof(res->row_wanted));
        memcpy(res->row_there, res->spec_hash, sizeof(res->row_there));
    }
    if (edited) {
        kube_event(&op->kube->base, &op->server, true, "SpecOwnedByDatabase",
                   "the spec belongs to the database: change it there, over "
                   "the REST API; what was changed here was put back");
    }
    kube_op_ok(op);
}


static mc_json_t *
annotations_of(kube_op_t *op, mc_json_t *there)
{
    mc_alloc_t  *a = &op->alloc;
    mc_json_t   *v = there ? there : mc_json_object(a);
    char         generation[24];

    snprintf(generation, sizeof(generation), "%lld",
             (long long) op->server.generation);
    return set_text(a, v, KUBE_ANNOTATION_ROW, generation) ? v : NULL;
}


/* Made by apply, so that its fields have an owner that people recognize. */
static void
make(kube_op_t *op)
{
    mc_alloc_t         *a = &op->alloc;
    const mc_server_t  *s = &op->server;
    mc_json_t          *v = mc_json_object(a), *meta = mc_json_object(a);
    mc_json_t          *finalizers = mc_json_array(a);

    if (!set_text(a, v, "apiVersion", mc_kube_minecraft_server.api_version)
        || !set_text(a, v, "kind", mc_kube_minecraft_server.kind)
        || !set_text(a, meta, "name", s->name)
        || !set_text(a, meta, "namespace", s->ns)
        || finalizers == NULL
        || mc_json_add(finalizers,
                       mc_json_string(a, KUBE_FINALIZER,
                                      sizeof(KUBE_FINALIZER) - 1)) != 0
        || mc_json_set(a, meta, "finalizers", finalizers) != 0
        || mc_json_set(a, meta, "labels", row_labels(op->kube, s, a)) != 0
        || mc_json_set(a, meta, "annotations", annotations_of(op, NULL)) != 0
        || mc_json_set(a, v, "metadata", meta) != 0
        || mc_json_set(a, v, "spec", mc_json_copy(a, s->spec)) != 0
        || spec_hash(s, a, op->hash) != 0)
    {
        kube_op_no_memory(op);
        return;
    }
    kube_op_apply(op, on_ensured, KUBE_RESOURCE, s->name, "", KUBE_MANAGER_ROW,
                  v);
}


/* A patch that fails when the resource is not the one that was looked at. */
static mc_json_t *
patch_of(kube_op_t *op, const kube_resource_t *res)
{
    mc_alloc_t  *a = &op->alloc;
    mc_json_t   *patch = mc_json_array(a);

    if (patch) {
        kube_patch_add(a, patch, "test", "/metadata/uid",
                       mc_json_string(a, res->meta.uid, MC_UUID_LEN));
        kube_patch_add(a, patch, "test", "/metadata/resourceVersion",
                       mc_json_string(a, res->meta.version,
                                      strlen(res->meta.version)));
    }
    return patch;
}


/* Labels, annotations and finalizers of others stay. */
static void
mend(kube_op_t *op)
{
    mc_alloc_t             *a = &op->alloc;
    const mc_server_t      *s = &op->server;
    const kube_resource_t  *res = kube_resource(op->kube, s);
    mc_json_t              *v, *patch, *f, *labels;

    if (res == NULL) {
        kube_op_fail(op, "Conflict", true, "the MinecraftServer is gone");
        return;
    }
    patch = patch_of(op, res);
    v = mc_json_get(text_of(res, a), "metadata");
    if (patch == NULL || v == NULL) {
        kube_op_no_memory(op);
        return;
    }
    if (!res->finalizer) {
        f = mc_json_get(v, "finalizers");
        f = f ? f : mc_json_array(a);
        (void) (f && mc_json_add(f, mc_json_string(a, KUBE_FINALIZER,
                                           sizeof(KUBE_FINALIZER) - 1)));
        kube_patch_add(a, patch, "add", "/metadata/finalizers", f);
    }
    if (!s->gitops) {
        op->again = res->row_generation == s->generation
                    && !same_spec(s, res, a);
        labels = mc_json_get(v, "labels");
        labels = mc_json_merge_patch(a, labels ? labels : mc_json_object(a),
                                     row_labels(op->kube, s, a));
        kube_patch_add(a, patch, "add", "/metadata/labels", labels);
        kube_patch_add(a, patch, "add", "/metadata/annotations",
                       annotations_of(op, mc_json_get(v, "annotations")));
        kube_patch_add(a, patch, "add", "/spec", mc_json_copy(a, s->spec));
        if (spec_hash(s, a, op->hash) != 0) {
            kube_op_no_memory(op);
            return;
        }
    }
    kube_op_patch(op, on_ensured, KUBE_RESOURCE, s->name, patch);
}


static void
judge(kube_op_t *op)
{
    const mc_server_t      *s = &op->server;
    const kube_resource_t  *res = kube_resource(op->kube, s);

    if (res == NULL) {
        kube_op_fail(op, "Conflict", true,
                     "the MinecraftServer is not known yet");
    } else if (res->gitops != s->gitops
               || (!s->gitops && res->id[0] != '\0'
                   && strcmp(res->id, s->id) != 0))
    {
        conflict(op);
    } else if (res->meta.deleting) {
        kube_op_fail(op, "Deleting", true,
                     "the MinecraftServer is being deleted");
    } else if (kube_resource_stale(op->kube, s, res, &op->alloc)) {
        mend(op);
    } else {
        kube_op_ok(op);
    }
}


static void
on_resource(kube_op_t *op, const mc_kube_reply_t *r)
{
    if (r->result == MC_KUBE_NOT_FOUND) {
        make(op);
    } else if (r->result == MC_KUBE_OK) {
        kube_op_wrote(op, KUBE_RESOURCE, r);
        judge(op);
    } else {
        kube_op_fail_reply(op, r);
    }
}


static void
look(kube_op_t *op)
{
    if (kube_resource(op->kube, &op->server)) {
        judge(op);
    } else if (op->server.gitops) {
        kube_op_ok(op);                 /* gone meanwhile */
    } else {
        kube_op_get(op, on_resource, KUBE_RESOURCE, op->server.name);
    }
}


static void
ensure_resource(kube_op_t *op)
{
    kube_ensure_namespace(op, look);
}


void
kube_ensure_resource(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data)
{
    kube_op(e, s, data, ensure_resource)->done = cb;
}


/* -- remove_resource -- */

static void drop_finalizer(kube_op_t *op);


static void
on_read_again(kube_op_t *op, const mc_kube_reply_t *r)
{
    if (r->result == MC_KUBE_OK) {
        kube_op_wrote(op, KUBE_RESOURCE, r);
        drop_finalizer(op);
    } else if (r->result == MC_KUBE_NOT_FOUND) {
        kube_op_lost(op, KUBE_RESOURCE, op->server.name, op->hash);
        kube_op_ok(op);
    } else {
        kube_op_fail_reply(op, r);
    }
}


static void
on_dropped(kube_op_t *op, const mc_kube_reply_t *r)
{
    if (r->result == MC_KUBE_OK && !op->last) {
        kube_op_wrote(op, KUBE_RESOURCE, r);
        kube_op_ok(op);

    } else if (r->result == MC_KUBE_OK || r->result == MC_KUBE_NOT_FOUND) {
        /* ours was the last one, or it was gone already */
        kube_op_lost(op, KUBE_RESOURCE, op->server.name, op->hash);
        kube_op_ok(op);

    } else if (!op->again && (r->result == MC_KUBE_INVALID
                              || r->result == MC_KUBE_CONFLICT))
    {
        op->again = true;               /* the cache was behind */
        kube_op_get(op, on_read_again, KUBE_RESOURCE, op->server.name);

    } else {
        kube_op_fail_reply(op, r);
    }
}


static void
drop_finalizer(kube_op_t *op)
{
    mc_alloc_t             *a = &op->alloc;
    const kube_resource_t  *res = kube_resource(op->kube, &op->server);
    const mc_json_t        *f;
    mc_json_t              *patch, *rest = mc_json_array(a);

    if (res == NULL || !res->finalizer
        || strcmp(res->meta.uid, op->hash) != 0)
    {
        kube_op_ok(op);
        return;
    }
    patch = patch_of(op, res);
    f = mc_json_at(text_of(res, a), "metadata.finalizers");
    for (f = f ? f->child : NULL; f && rest; f = f->next) {
        if (strcmp(mc_json_str(f, ""), KUBE_FINALIZER) != 0
            && mc_json_add(rest, mc_json_copy(a, f)) != 0)
        {
            rest = NULL;
        }
    }
    if (patch == NULL || rest == NULL) {
        kube_op_no_memory(op);
        return;
    }
    op->last = rest->n == 0;
    kube_patch_add(a, patch, "replace", "/metadata/finalizers", rest);
    kube_op_patch(op, on_dropped, KUBE_RESOURCE, op->server.name, patch);
}


static void
on_resource_deleted(kube_op_t *op, const mc_kube_reply_t *r)
{
    if (r->result != MC_KUBE_OK && r->result != MC_KUBE_NOT_FOUND) {
        kube_op_fail_reply(op, r);
        return;
    }
    kube_op_deleted(op, KUBE_RESOURCE, op->server.name, op->hash, r);
    drop_finalizer(op);
}


static void
remove_resource(kube_op_t *op)
{
    const mc_server_t      *s = &op->server;
    const kube_resource_t  *res = kube_resource(op->kube, s);

    if (res == NULL || res->gitops != s->gitops
        || strcmp(res->id, s->id) != 0)
    {
        kube_op_ok(op);
        return;
    }
    memcpy(op->hash, res->meta.uid, MC_UUID_LEN + 1);
    if (res->meta.deleting) {
        drop_finalizer(op);
    } else if (s->deleted && !s->gitops) {
        kube_op_delete(op, on_resource_deleted, KUBE_RESOURCE, s->name,
                       op->hash, -1);
    } else {
        kube_op_ok(op);
    }
}


void
kube_remove_resource(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data)
{
    kube_op(e, s, data, remove_resource)->done = cb;
}
