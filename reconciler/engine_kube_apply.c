/*
 * Server-side apply of what a server consists of. Nothing is written that is
 * there as it is wanted; nothing is touched that is somebody else's. An object
 * that no cache shows is asked for before it is made: apply would take over
 * a stranger's.
 */

#include <stdio.h>
#include <string.h>
#include "engine_kube_private.h"
#include "mc_quantity.h"

static void next(kube_op_t *op);


const char *
kube_owner_uid(const kube_t *k, const mc_server_t *s)
{
    const kube_resource_t  *res = kube_resource(k, s);

    if (res == NULL || res->gitops != s->gitops) {
        return "";
    }
    return res->meta.uid;
}


/* -- one child -- */

static kube_kind_t
kind_of(const kube_op_t *op)
{
    return kube_child_kind[op->todo[op->at]];
}


static void
name_of(const kube_op_t *op, char name[MC_NAME_LEN + 1])
{
    kube_child_name(name, op->todo[op->at], &op->server);
}


static void
conflict(kube_op_t *op, const char *name)
{
    kube_op_fail(op, "NameConflict", false, "there is a %s \"%s\" in namespace "
                 "\"%s\" already that does not belong to this server",
                 kube_types[kind_of(op)]->kind, name, op->server.ns);
}


/* An object of ours, or one that is left from the resource before this one:
 * the garbage collector is about to take it away. */
static bool
usable(kube_op_t *op, const mc_kube_meta_t *meta, const char *name)
{
    const char    *owner = kube_owner_uid(op->kube, &op->server);
    kube_child_t   which = op->todo[op->at];
    bool           mine = strcmp(meta->server_id, op->server.id) == 0;

    if (which == KUBE_CHILD_POLICY) {
        mine = strcmp(meta->tenant_id, op->server.tenant_id) == 0;
    }
    if (!mine || (!meta->ours && which != KUBE_CHILD_CLAIM)) {
        conflict(op, name);
        return false;
    }
    if (meta->deleting) {
        kube_op_fail(op, "Deleting", true, "the %s \"%s\" is still being "
                     "deleted", kube_types[kind_of(op)]->kind, name);
        return false;
    }
    if (which == KUBE_CHILD_POLICY || which == KUBE_CHILD_CLAIM) {
        return true;
    }
    if (meta->owner_uid[0] != '\0' && strcmp(meta->owner_uid, owner) != 0) {
        kube_op_fail(op, "NameConflict", true, "the %s \"%s\" belongs to a "
                     "MinecraftServer that is not there any more",
                     kube_types[kind_of(op)]->kind, name);
        return false;
    }
    return true;
}


static void
done_one(kube_op_t *op)
{
    op->at++;
    op->again = false;
    next(op);
}


static void
on_remade(kube_op_t *op, const mc_kube_reply_t *r)
{
    char  name[MC_NAME_LEN + 1];

    name_of(op, name);
    if (r->result != MC_KUBE_OK && r->result != MC_KUBE_NOT_FOUND) {
        kube_op_fail_reply(op, r);
        return;
    }
    kube_op_deleted(op, kind_of(op), name, op->hash, r);
    next(op);
}


/* What can no longer be changed into what is wanted is made anew, once; but
 * not what a pod hangs on, nor a world. */
static bool
remake(kube_op_t *op)
{
    char                 name[MC_NAME_LEN + 1], pod[MC_NAME_LEN + 1];
    const kube_value_t  *v;
    kube_child_t         which = op->todo[op->at];

    name_of(op, name);
    mc_manifest_name(pod, &op->server, MC_NAME_POD);
    v = kube_value(op->kube, kind_of(op), op->server.ns, name);
    if (v == NULL || op->again || which == KUBE_CHILD_CLAIM
        || (which == KUBE_CHILD_SET
            && kube_value(op->kube, KUBE_POD, op->server.ns, pod)))
    {
        return false;
    }
    op->again = true;
    memcpy(op->hash, v->obj->meta.uid, MC_UUID_LEN + 1);
    kube_op_delete(op, on_remade, kind_of(op), name, op->hash, -1);
    return true;
}


static void
on_applied(kube_op_t *op, const mc_kube_reply_t *r)
{
    if (r->result == MC_KUBE_INVALID && remake(op)) {
        return;
    }
    if (r->result != MC_KUBE_OK) {
        kube_op_fail_reply(op, r);
        return;
    }
    kube_op_wrote(op, kind_of(op), r);
    done_one(op);
}


static void
write_child(kube_op_t *op, const char *uid)
{
    kube_child_t   which = op->todo[op->at];
    char           name[MC_NAME_LEN + 1];
    mc_json_t     *v;

    name_of(op, name);
    v = kube_wanted(op->kube, &op->alloc, which, &op->server, op->hash);
    if (v == NULL
        || (*uid && mc_json_set(&op->alloc, mc_json_get(v, "metadata"), "uid",
                                mc_json_string(&op->alloc, uid, strlen(uid))))
        || (which == KUBE_CHILD_SET
            && mc_json_set(&op->alloc, mc_json_get(v, "spec"), "replicas",
                           mc_json_number(&op->alloc, op->replicas))))
    {
        kube_op_no_memory(op);
        return;
    }
    kube_op_apply(op, on_applied, kind_of(op), name, "", KUBE_MANAGER, v);
}


/* -- the world's claim -- */

static void
on_claim(kube_op_t *op, const mc_kube_reply_t *r)
{
    if (r->result != MC_KUBE_OK) {
        kube_op_fail_reply(op, r);
        return;
    }
    kube_op_wrote(op, KUBE_CLAIM, r);
    done_one(op);
}


/* An answer about growth is remembered: what the storage class does not do is
 * not asked of it twice. */
static void
on_grown(kube_op_t *op, const mc_kube_reply_t *r)
{
    kube_value_t  *v;
    char           name[MC_NAME_LEN + 1];

    if (r->result == MC_KUBE_OK) {
        kube_op_wrote(op, KUBE_CLAIM, r);
    } else if (r->result != MC_KUBE_FORBIDDEN && r->result != MC_KUBE_INVALID) {
        kube_op_fail_reply(op, r);
        return;
    }
    name_of(op, name);
    v = kube_value(op->kube, KUBE_CLAIM, op->server.ns, name);
    if (v) {
        v->refused[0] = '\0';
        snprintf(v->asked, sizeof(v->asked), "%s",
                 mc_json_str(mc_json_at(op->server.spec, "storage.size"), ""));
        if (r->result != MC_KUBE_OK) {
            snprintf(v->refused, sizeof(v->refused), "the world's volume cannot "
                     "grow to %s: %.110s", v->asked, r->message);
        }
    }
    done_one(op);
}


static void
grow(kube_op_t *op, const char *uid, const char *size)
{
    mc_alloc_t  *a = &op->alloc;
    mc_json_t   *patch = mc_json_array(a);
    char         name[MC_NAME_LEN + 1];

    name_of(op, name);
    if (patch) {
        kube_patch_add(a, patch, "test", "/metadata/uid",
                       mc_json_string(a, uid, strlen(uid)));
        kube_patch_add(a, patch, "replace", "/spec/resources/requests/storage",
                       mc_json_string(a, size, strlen(size)));
    }
    kube_op_patch(op, on_grown, KUBE_CLAIM, name, patch);
}


/* The volume is there: it may grow, and lost labels come back. The rest of a
 * claim cannot be changed. */
static void
tend_claim(kube_op_t *op, const mc_kube_object_t *obj)
{
    mc_alloc_t  *a = &op->alloc;
    const char  *size = mc_json_str(mc_json_at(op->server.spec,
                                               "storage.size"), "10Gi");
    mc_json_t   *v, *o;
    char         name[MC_NAME_LEN + 1], hash[65];

    name_of(op, name);
    if (!obj->meta.ours) {
        v = kube_wanted(op->kube, a, KUBE_CHILD_CLAIM, &op->server, hash);
        if (v == NULL || (o = mc_json_get(v, "metadata")) == NULL
            || mc_json_set(a, o, "uid", mc_json_string(a, obj->meta.uid,
                                              strlen(obj->meta.uid))) != 0)
        {
            kube_op_no_memory(op);
            return;
        }
        mc_json_remove(v, "spec");
        kube_op_merge(op, on_claim, KUBE_CLAIM, name, "",
                      "application/merge-patch+json", v);
    } else if (mc_quantity_milli(size) > mc_quantity_milli(obj->claim.size)) {
        grow(op, obj->meta.uid, size);
    } else {
        done_one(op);
    }
}


/* -- the list -- */

/* The API's word on an object that no cache shows. */
static void
on_looked(kube_op_t *op, const mc_kube_reply_t *r)
{
    mc_kube_object_t  *obj;
    char               name[MC_NAME_LEN + 1], uid[MC_UUID_LEN + 1];

    if (r->result == MC_KUBE_NOT_FOUND) {
        write_child(op, "");
        return;
    }
    obj = r->result == MC_KUBE_OK ? mc_kube_object_read(r->body, r->len) : NULL;
    if (obj == NULL) {
        kube_op_fail_reply(op, r);
        return;
    }
    name_of(op, name);
    if (usable(op, &obj->meta, name)) {
        if (op->todo[op->at] == KUBE_CHILD_CLAIM) {
            kube_op_wrote(op, KUBE_CLAIM, r);
            tend_claim(op, obj);
        } else {
            memcpy(uid, obj->meta.uid, sizeof(uid));
            write_child(op, uid);
        }
    }
    mc_kube_object_free(obj);
}


/* Whether the object is as it is wanted already. */
static bool
as_wanted(const kube_op_t *op, const kube_value_t *v)
{
    char  hash[65];

    if (op->todo[op->at] == KUBE_CHILD_SET
        && v->obj->set.replicas != op->replicas)
    {
        return false;
    }
    return kube_wanted(op->kube, &op->alloc, op->todo[op->at], &op->server,
                       hash) != NULL
           && strcmp(v->obj->meta.applied_hash, hash) == 0
           && strcmp(v->verified, hash) == 0 && v->verdict == KUBE_AS_WANTED;
}


static void
next(kube_op_t *op)
{
    const kube_value_t  *v;
    char                 name[MC_NAME_LEN + 1];

    for (; op->at < op->n; op->at++) {
        name_of(op, name);
        v = kube_value(op->kube, kind_of(op), op->server.ns, name);
        if (v == NULL) {
            kube_op_get(op, on_looked, kind_of(op), name);
            return;
        }
        if (!usable(op, &v->obj->meta, name)) {
            return;
        }
        if (op->todo[op->at] == KUBE_CHILD_CLAIM) {
            tend_claim(op, v->obj);
            return;
        }
        if (!as_wanted(op, v)) {
            write_child(op, v->obj->meta.uid);
            return;
        }
    }
    op->then(op);
}


void
kube_apply_children(kube_op_t *op, kube_then_pt then)
{
    op->then = then;
    op->at = 0;
    op->again = false;
    next(op);
}


/* -- the namespace of a tenant's servers -- */

static void
on_namespace_made(kube_op_t *op, const mc_kube_reply_t *r)
{
    if (r->result != MC_KUBE_OK) {
        kube_op_fail_reply(op, r);
        return;
    }
    kube_op_wrote(op, KUBE_NAMESPACE, r);
    op->then(op);
}


static mc_json_t *
namespace_body(kube_op_t *op)
{
    mc_alloc_t         *a = &op->alloc;
    const mc_server_t  *s = &op->server;
    mc_json_t          *v = mc_json_object(a), *meta = mc_json_object(a);
    mc_json_t          *labels = mc_json_object(a);

    if (v == NULL || meta == NULL || labels == NULL
        || mc_json_set(a, labels, "app.kubernetes.io/managed-by",
                       mc_json_string(a, "mchost", 6)) != 0
        || mc_json_set(a, labels, MC_LABEL_TENANT,
                       mc_json_string(a, s->tenant_id, MC_UUID_LEN)) != 0
        || mc_json_set(a, meta, "name",
                       mc_json_string(a, s->ns, strlen(s->ns))) != 0
        || mc_json_set(a, meta, "labels", labels) != 0
        || mc_json_set(a, v, "apiVersion", mc_json_string(a, "v1", 2)) != 0
        || mc_json_set(a, v, "kind", mc_json_string(a, "Namespace", 9)) != 0
        || mc_json_set(a, v, "metadata", meta) != 0)
    {
        return NULL;
    }
    return v;
}


static void
on_namespace(kube_op_t *op, const mc_kube_reply_t *r)
{
    mc_kube_object_t  *obj;

    if (r->result == MC_KUBE_NOT_FOUND) {
        kube_op_apply(op, on_namespace_made, KUBE_NAMESPACE, op->server.ns, "",
                      KUBE_MANAGER, namespace_body(op));
        return;
    }
    obj = r->result == MC_KUBE_OK ? mc_kube_object_read(r->body, r->len) : NULL;
    if (obj == NULL) {
        kube_op_fail_reply(op, r);
        return;
    }
    if (strcmp(obj->meta.tenant_id, op->server.tenant_id) == 0) {
        kube_op_wrote(op, KUBE_NAMESPACE, r);
        op->then(op);
    } else {
        kube_op_fail(op, "NameConflict", false, "the namespace \"%s\" is there "
                     "already and does not belong to the server's tenant",
                     op->server.ns);
    }
    mc_kube_object_free(obj);
}


void
kube_ensure_namespace(kube_op_t *op, kube_then_pt then)
{
    op->then = then;
    if (op->server.gitops || *op->kube->conf.ns
        || kube_value(op->kube, KUBE_NAMESPACE, "", op->server.ns))
    {
        then(op);
        return;
    }
    kube_op_get(op, on_namespace, KUBE_NAMESPACE, op->server.ns);
}


/* -- operations -- */

static void
apply_list(kube_op_t *op)
{
    kube_apply_children(op, kube_op_ok);
}


static void
want(kube_op_t *op, kube_child_t first, kube_child_t last)
{
    int  c;

    op->n = 0;
    for (c = (int) first; c <= (int) last; c++) {
        op->todo[op->n++] = (kube_child_t) c;
    }
    kube_ensure_namespace(op, apply_list);
}


static void
ensure_storage(kube_op_t *op)
{
    want(op, KUBE_CHILD_POLICY, KUBE_CHILD_CLAIM);
}


static void
create(kube_op_t *op)
{
    op->replicas = 1;
    want(op, KUBE_CHILD_CONFIG, KUBE_CHILD_SET);
}


/* Whether it runs is decided elsewhere. */
static void
apply(kube_op_t *op)
{
    char                 name[MC_NAME_LEN + 1];
    const kube_value_t  *set;

    kube_child_name(name, KUBE_CHILD_SET, &op->server);
    set = kube_value(op->kube, KUBE_SET, op->server.ns, name);
    op->replicas = set && set->obj->set.replicas == 0 ? 0 : 1;
    want(op, KUBE_CHILD_POLICY, KUBE_CHILD_SET);
}


void
kube_ensure_storage(mc_engine_t *e, const mc_server_t *s, mc_engine_done_pt cb,
    void *data)
{
    kube_op(e, s, data, ensure_storage)->done = cb;
}


void
kube_create(mc_engine_t *e, const mc_server_t *s, mc_engine_done_pt cb,
    void *data)
{
    kube_op(e, s, data, create)->done = cb;
}


void
kube_apply(mc_engine_t *e, const mc_server_t *s, mc_engine_done_pt cb,
    void *data)
{
    kube_op(e, s, data, apply)->done = cb;
}
