#include <stdio.h>
#include <string.h>
#include "manifest_private.h"
#include "properties.h"


void
mc_build_init(build_t *b, const mc_manifest_t *m)
{
    memset(b, 0, sizeof(*b));
    b->m = m;
    b->a = m->a;
    b->server = m->server;
    b->spec = m->server->spec;
    b->type = mc_build_spec(b, "software.type", "");
    b->version = mc_properties_version(b->spec);
}

mc_json_t *
mc_build_end(const build_t *b, mc_json_t *v)
{
    return b->failed ? NULL : v;
}

mc_json_t *
mc_build_obj(build_t *b)
{
    mc_json_t  *v = mc_json_object(b->a);

    b->failed |= (v == NULL);
    return v;
}

mc_json_t *
mc_build_arr(build_t *b)
{
    mc_json_t  *v = mc_json_array(b->a);

    b->failed |= (v == NULL);
    return v;
}

void
mc_build_set(build_t *b, mc_json_t *obj, const char *key, mc_json_t *v)
{
    if (obj == NULL || mc_json_set(b->a, obj, key, v) != 0) {
        b->failed = true;
    }
}

void
mc_build_str(build_t *b, mc_json_t *obj, const char *key, const char *s)
{
    mc_build_set(b, obj, key, mc_json_string(b->a, s, strlen(s)));
}

void
mc_build_num(build_t *b, mc_json_t *obj, const char *key, int64_t n)
{
    mc_build_set(b, obj, key, mc_json_number(b->a, n));
}

void
mc_build_bool(build_t *b, mc_json_t *obj, const char *key, bool v)
{
    mc_build_set(b, obj, key, mc_json_boolean(b->a, v));
}

void
mc_build_add(build_t *b, mc_json_t *arr, mc_json_t *v)
{
    if (arr == NULL || mc_json_add(arr, v) != 0) {
        b->failed = true;
    }
}

void
mc_build_add_str(build_t *b, mc_json_t *arr, const char *s)
{
    mc_build_add(b, arr, mc_json_string(b->a, s, strlen(s)));
}

mc_json_t *
mc_build_obj_in(build_t *b, mc_json_t *obj, const char *key)
{
    mc_json_t  *v = mc_build_obj(b);

    mc_build_set(b, obj, key, v);
    return v;
}

mc_json_t *
mc_build_arr_in(build_t *b, mc_json_t *obj, const char *key)
{
    mc_json_t  *v = mc_build_arr(b);

    mc_build_set(b, obj, key, v);
    return v;
}

const char *
mc_build_spec(const build_t *b, const char *path, const char *def)
{
    return mc_json_str(mc_json_at(b->spec, path), def);
}

bool
mc_build_is_game(const build_t *b)
{
    return strcmp(b->type, "demo") != 0 && strcmp(b->type, "velocity") != 0;
}

mc_json_t *
mc_build_labels(build_t *b)
{
    mc_json_t  *v = mc_build_obj(b);

    mc_build_str(b, v, "app.kubernetes.io/name", "minecraft");
    mc_build_str(b, v, "app.kubernetes.io/instance", b->server->name);
    mc_build_str(b, v, "app.kubernetes.io/managed-by", "mchost");
    mc_build_str(b, v, MC_LABEL_TENANT, b->server->tenant_id);
    mc_build_str(b, v, MC_LABEL_SERVER, b->server->id);
    return v;
}

mc_json_t *
mc_build_object(build_t *b, const char *api, const char *kind,
    const char *name)
{
    mc_json_t  *v = mc_build_obj(b), *meta;

    mc_build_str(b, v, "apiVersion", api);
    mc_build_str(b, v, "kind", kind);
    meta = mc_build_obj_in(b, v, "metadata");
    mc_build_str(b, meta, "name", name);
    if (mc_manifest_in_kube(b->server)) {
        mc_build_str(b, meta, "namespace", b->server->ns);
    }
    mc_build_set(b, meta, "labels", mc_build_labels(b));
    return v;
}

void
mc_build_owner(build_t *b, mc_json_t *object)
{
    const mc_manifest_owner_t  *owner = b->m->owner;
    mc_json_t                  *o;

    if (owner == NULL) {
        return;
    }
    o = mc_build_obj(b);
    mc_build_str(b, o, "apiVersion", owner->api_version);
    mc_build_str(b, o, "kind", owner->kind);
    mc_build_str(b, o, "name", owner->name);
    mc_build_str(b, o, "uid", owner->uid);
    mc_build_bool(b, o, "controller", true);
    mc_build_bool(b, o, "blockOwnerDeletion", true);
    mc_build_add(b, mc_build_arr_in(b, mc_json_get(object, "metadata"),
                                    "ownerReferences"), o);
}
