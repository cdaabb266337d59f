/*
 * A pod's end, what goes with it, and its CPU. A pod is never told to end by
 * itself: its StatefulSet would make another one at once.
 */

#include <stdio.h>
#include <string.h>
#include "engine_kube_private.h"
#include "mc_quantity.h"


static kube_value_t *
own(kube_op_t *op, kube_kind_t kind, const char *name)
{
    kube_value_t  *v = kube_value(op->kube, kind, op->server.ns, name);

    return v && strcmp(v->obj->meta.server_id, op->server.id) == 0 ? v : NULL;
}


static kube_value_t *
own_pod(kube_op_t *op, char name[MC_NAME_LEN + 1])
{
    mc_manifest_name(name, &op->server, MC_NAME_POD);
    return own(op, KUBE_POD, name);
}


/* -- stop -- */

static void
on_pod_deleted(kube_op_t *op, const mc_kube_reply_t *r)
{
    char  name[MC_NAME_LEN + 1];

    if (r->result != MC_KUBE_OK && r->result != MC_KUBE_NOT_FOUND
        && r->result != MC_KUBE_CONFLICT)
    {
        kube_op_fail_reply(op, r);
        return;
    }
    mc_manifest_name(name, &op->server, MC_NAME_POD);
    if (r->result != MC_KUBE_CONFLICT) {        /* else it is another one */
        kube_op_deleted(op, KUBE_POD, name, op->hash, r);
    }
    kube_op_ok(op);
}


static void
delete_pod(kube_op_t *op)
{
    char                 name[MC_NAME_LEN + 1];
    const kube_value_t  *v = own_pod(op, name);

    if (v == NULL || (v->obj->meta.deleting && op->grace != 0)) {
        kube_op_ok(op);
        return;
    }
    memcpy(op->hash, v->obj->meta.uid, MC_UUID_LEN + 1);
    kube_op_delete(op, on_pod_deleted, KUBE_POD, name, op->hash,
                   op->grace == 0 ? 0 : -1);
}


static void
on_scaled(kube_op_t *op, const mc_kube_reply_t *r)
{
    if (r->result == MC_KUBE_OK) {
        kube_op_wrote(op, KUBE_SET, r);
    } else if (r->result == MC_KUBE_INVALID) {
        kube_op_fail(op, "Conflict", true, "the StatefulSet is another one now");
        return;
    } else if (r->result != MC_KUBE_NOT_FOUND) {
        kube_op_fail_reply(op, r);
        return;
    }
    if (op->grace == 0 || r->result == MC_KUBE_NOT_FOUND) {
        delete_pod(op);
        return;
    }
    kube_op_ok(op);
}


static void
stop(kube_op_t *op)
{
    mc_alloc_t          *a = &op->alloc;
    mc_json_t           *patch = mc_json_array(a);
    const kube_value_t  *v;
    char                 name[MC_NAME_LEN + 1];

    mc_manifest_name(name, &op->server, MC_NAME_SET);
    v = own(op, KUBE_SET, name);
    if (v == NULL) {
        delete_pod(op);                 /* one that lost its set */
        return;
    }
    if (v->obj->set.replicas == 0) {
        if (op->grace == 0) {
            delete_pod(op);
        } else {
            kube_op_ok(op);
        }
        return;
    }
    if (patch) {
        kube_patch_add(a, patch, "test", "/metadata/uid",
                       mc_json_string(a, v->obj->meta.uid, MC_UUID_LEN));
        kube_patch_add(a, patch, "replace", "/spec/replicas",
                       mc_json_number(a, 0));
    }
    kube_op_patch(op, on_scaled, KUBE_SET, name, patch);
}


void
kube_stop(mc_engine_t *e, const mc_server_t *s, int grace,
    mc_engine_done_pt cb, void *data)
{
    kube_op_t  *op = kube_op(e, s, data, stop);

    op->done = cb;
    op->grace = grace;
}


/* A pod of Kubernetes is never there and ended. */
static void
start(kube_op_t *op)
{
    kube_op_fail(op, "NotFound", true, "there is no pod to start again");
}


void
kube_start(mc_engine_t *e, const mc_server_t *s, mc_engine_done_pt cb,
    void *data)
{
    kube_op(e, s, data, start)->done = cb;
}


/* -- remove -- */

static void next(kube_op_t *op);


static void
on_deleted(kube_op_t *op, const mc_kube_reply_t *r)
{
    kube_child_t  which = op->todo[op->at];
    char          name[MC_NAME_LEN + 1];

    if (r->result != MC_KUBE_OK && r->result != MC_KUBE_NOT_FOUND) {
        kube_op_fail_reply(op, r);
        return;
    }
    kube_child_name(name, which, &op->server);
    kube_op_deleted(op, kube_child_kind[which], name, op->hash, r);
    op->at++;
    next(op);
}


static void
next(kube_op_t *op)
{
    const kube_value_t  *v;
    kube_child_t         which;
    char                 name[MC_NAME_LEN + 1];

    for (; op->at < op->n; op->at++) {
        which = op->todo[op->at];
        kube_child_name(name, which, &op->server);
        v = own(op, kube_child_kind[which], name);
        if (v && !v->obj->meta.deleting) {
            memcpy(op->hash, v->obj->meta.uid, MC_UUID_LEN + 1);
            kube_op_delete(op, on_deleted, kube_child_kind[which], name,
                           op->hash, -1);
            return;
        }
    }
    kube_op_ok(op);
}


static void
remove_pod(kube_op_t *op)
{
    op->todo[op->n++] = KUBE_CHILD_SET;
    op->todo[op->n++] = KUBE_CHILD_SERVICE;
    op->todo[op->n++] = KUBE_CHILD_HEADLESS;
    op->todo[op->n++] = KUBE_CHILD_CONFIG;
    next(op);
}


void
kube_remove(mc_engine_t *e, const mc_server_t *s, mc_engine_done_pt cb,
    void *data)
{
    kube_op(e, s, data, remove_pod)->done = cb;
}


static void
remove_storage(kube_op_t *op)
{
    op->todo[op->n++] = KUBE_CHILD_SECRET;
    if (op->world) {
        op->todo[op->n++] = KUBE_CHILD_CLAIM;
    }
    next(op);
}


void
kube_remove_storage(mc_engine_t *e, const mc_server_t *s, bool world,
    mc_engine_done_pt cb, void *data)
{
    kube_op_t  *op = kube_op(e, s, data, remove_storage);

    op->done = cb;
    op->world = world;
}


/* -- resize -- */

static const char *
wanted_cpu(const kube_op_t *op)
{
    return mc_json_str(mc_json_at(op->server.spec, "resources.cpu"), "1");
}


static void
on_resized(kube_op_t *op, const mc_kube_reply_t *r)
{
    char           name[MC_NAME_LEN + 1];
    kube_value_t  *v;

    if (r->result == MC_KUBE_OK) {
        kube_op_wrote(op, KUBE_POD, r);
    } else if (r->result == MC_KUBE_NOT_FOUND
               && own_pod(op, name) != NULL)
    {
        op->kube->no_resize = true;
    }
    v = own_pod(op, name);
    if (v && (r->result == MC_KUBE_OK || r->result == MC_KUBE_INVALID
              || r->result == MC_KUBE_FORBIDDEN))
    {
        /* once is enough: the node says by and by what becomes of it */
        snprintf(v->asked, sizeof(v->asked), "%s", wanted_cpu(op));
    }
    if (r->result == MC_KUBE_OK || r->result == MC_KUBE_NOT_FOUND) {
        kube_op_ok(op);
    } else {
        kube_op_fail_reply(op, r);
    }
}


/* The part of the template that is about the container's CPU, as a strategic
 * merge patch. */
static mc_json_t *
cpu_patch(kube_op_t *op, const char *uid)
{
    mc_alloc_t     *a = &op->alloc;
    mc_manifest_t   m = { .a = a, .server = &op->server,
                          .demo_image = op->kube->conf.demo_image };
    mc_json_t      *template = mc_manifest_pod_template(&m);
    mc_json_t      *c = mc_json_at(template, "spec.containers");
    mc_json_t      *v = mc_json_object(a), *meta = mc_json_object(a);
    mc_json_t      *spec = mc_json_object(a), *list = mc_json_array(a);
    mc_json_t      *own_c = mc_json_object(a), *res;

    res = mc_json_get(c ? c->child : NULL, "resources");
    res = res ? mc_json_copy(a, res) : NULL;
    if (res == NULL || v == NULL || meta == NULL || spec == NULL || list == NULL
        || own_c == NULL)
    {
        return NULL;
    }
    mc_json_remove(mc_json_get(res, "limits"), "memory");
    mc_json_remove(mc_json_get(res, "requests"), "memory");
    if (mc_json_set(a, meta, "uid", mc_json_string(a, uid, MC_UUID_LEN)) != 0
        || mc_json_set(a, own_c, "name",
                       mc_json_string(a, MC_CONTAINER,
                                      sizeof(MC_CONTAINER) - 1)) != 0
        || mc_json_set(a, own_c, "resources", res) != 0
        || mc_json_add(list, own_c) != 0
        || mc_json_set(a, spec, "containers", list) != 0
        || mc_json_set(a, v, "metadata", meta) != 0
        || mc_json_set(a, v, "spec", spec) != 0)
    {
        return NULL;
    }
    return v;
}


static void
resize(kube_op_t *op)
{
    char                 name[MC_NAME_LEN + 1];
    const kube_value_t  *v = own_pod(op, name);

    if (v == NULL) {
        kube_op_ok(op);
        return;
    }
    kube_op_merge(op, on_resized, KUBE_POD, name, "resize",
                  "application/strategic-merge-patch+json",
                  cpu_patch(op, v->obj->meta.uid));
}


void
kube_resize(mc_engine_t *e, const mc_server_t *s, mc_engine_done_pt cb,
    void *data)
{
    kube_op(e, s, data, resize)->done = cb;
}
