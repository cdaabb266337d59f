/*
 * The hash of what only a new pod can take over. It is made of the wishes in
 * the spec, not of the manifests: a new version of this program that writes
 * them otherwise must not restart every server there is. And the hash of an
 * object as it is applied, by which a write that changes nothing is saved.
 */

#include <stdlib.h>
#include <string.h>
#include "arena.h"
#include "engine.h"
#include "hot.h"
#include "manifest_private.h"
#include "secret.h"
#include "text.h"

static int
by_key(const void *a, const void *b)
{
    return strcmp((*(const mc_json_t *const *) a)->key,
                  (*(const mc_json_t *const *) b)->key);
}

static void canonical(mc_text_t *t, const mc_json_t *v);

static void
canonical_object(mc_text_t *t, const mc_json_t *v)
{
    const mc_json_t  **members, *m;
    unsigned           i, n = 0;

    members = t->a->alloc(t->a->pool, (v->n + 1) * sizeof(*members));
    if (members == NULL) {
        t->failed = true;
        return;
    }
    for (m = v->child; m; m = m->next) {
        members[n++] = m;
    }
    qsort(members, n, sizeof(*members), by_key);
    mc_text_puts(t, "{");
    for (i = 0; i < n; i++) {
        mc_text_printf(t, "%zu:", members[i]->key_len);
        mc_text_add(t, members[i]->key, members[i]->key_len);
        canonical(t, members[i]);
    }
    mc_text_puts(t, "}");
}

/* Strings with their lengths in front, so that nothing needs escaping. */
static void
canonical(mc_text_t *t, const mc_json_t *v)
{
    const mc_json_t  *m;

    switch (v ? v->type : MC_JSON_NULL) {

    case MC_JSON_NULL:
        mc_text_puts(t, "null");
        return;

    case MC_JSON_FALSE:
        mc_text_puts(t, "false");
        return;

    case MC_JSON_TRUE:
        mc_text_puts(t, "true");
        return;

    case MC_JSON_NUMBER:
        mc_text_puts(t, "#");
        mc_text_add(t, v->str, v->len);
        return;

    case MC_JSON_STRING:
        mc_text_printf(t, "%zu:", v->len);
        mc_text_add(t, v->str, v->len);
        return;

    case MC_JSON_ARRAY:
        mc_text_puts(t, "[");
        for (m = v->child; m; m = m->next) {
            canonical(t, m);
        }
        mc_text_puts(t, "]");
        return;

    case MC_JSON_OBJECT:
        canonical_object(t, v);
        return;
    }
}

/* A copy without members that need no new pod; NULL when nothing is left. */
static const mc_json_t *
without(const mc_alloc_t *a, const mc_json_t *v, const char *const *members)
{
    mc_json_t  *copy = v ? mc_json_copy(a, v) : NULL;

    for (; copy && *members; members++) {
        mc_json_remove(copy, *members);
    }
    return copy && copy->n ? copy : NULL;
}

/* Of access only operators with other rights than those that the console
 * gives. */
static mc_json_t *
special_operators(const mc_alloc_t *a, const mc_json_t *spec)
{
    const mc_json_t  *v = mc_json_at(spec, "access.operators");
    mc_json_t        *list = mc_json_array(a);

    for (v = v ? v->child : NULL; v && list; v = v->next) {
        if (!mc_hot_operator(v)
            && mc_json_add(list, mc_json_copy(a, v)) != 0)
        {
            return NULL;
        }
    }
    return list;
}

/* What only a start sees to: that a list is exactly as it is in the spec, for
 * which it is a file or, without the UUIDs, the image's business. */
static void
lists(mc_text_t *t, const mc_server_t *s)
{
    static const char *const  paths[] = {
        "access.operators", "access.allowList.players", "access.bans.players"
    };
    mc_manifest_t             m = { .a = t->a, .server = s };
    build_t                   b;
    size_t                    i;

    mc_build_init(&b, &m);
    if (strcmp(mc_build_spec(&b, "access.mode", "Merge"), "Exact") != 0) {
        return;
    }
    mc_text_puts(t, "exact=");
    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        mc_text_puts(t, mc_build_uuids_known(&b, mc_json_at(s->spec, paths[i]))
                        ? "file," : "image,");
    }
    mc_text_puts(t, ";");
}

static void
part(mc_text_t *t, const char *name, const mc_json_t *v)
{
    mc_text_printf(t, "%s=", name);
    canonical(t, v);
    mc_text_puts(t, ";");
}

static void
parts_of(mc_text_t *t, const mc_server_t *s)
{
    static const char *const  hot[] = { "difficulty", "gameMode", NULL };
    static const char *const  cpu[] = { "cpu", "cpuRequest", NULL };
    const mc_json_t          *properties, *resources;
    mc_json_t                *operators = special_operators(t->a, s->spec);

    properties = mc_json_get(s->spec, "properties");
    resources = mc_json_get(s->spec, "resources");
    part(t, "software", mc_json_get(s->spec, "software"));
    part(t, "properties", without(t->a, properties, hot));
    part(t, "operators", operators && operators->n ? operators : NULL);
    lists(t, s);
    part(t, "jvm", mc_json_get(s->spec, "jvm"));
    part(t, "resources", mc_manifest_in_kube(s)
                         ? without(t->a, resources, cpu) : resources);
    part(t, "addons", mc_json_get(s->spec, "addons"));
    part(t, "eula.accepted", mc_json_at(s->spec, "eula.accepted"));
    part(t, "network.proxyProtocol",
         mc_json_at(s->spec, "network.proxyProtocol"));
}

/* As it was before the console could change anything. */
static void
parts_once(mc_text_t *t, const mc_server_t *s)
{
    static const char *const  parts[] = {
        "software", "properties", "access", "jvm", "resources", "addons",
        "eula.accepted", "network.proxyProtocol"
    };
    size_t                    i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        part(t, parts[i], mc_json_at(s->spec, parts[i]));
    }
}

static void
hash_of(const mc_server_t *s, void (*write)(mc_text_t *, const mc_server_t *),
    char hash[65])
{
    mc_arena_t  *arena = mc_arena_create();
    mc_alloc_t   a;
    mc_text_t    t = { 0 };

    hash[0] = '\0';
    if (arena == NULL) {
        return;
    }
    a = mc_arena_allocator(arena);
    t.a = &a;
    write(&t, s);
    if (mc_text_end(&t)) {
        mc_sha256_hex(t.p, t.len, hash);
        hash[63] = '\0';            /* Podman's limit of an annotation */
    }
    mc_arena_destroy(arena);
}

void
mc_engine_desired_hash(const mc_server_t *s, char hash[65])
{
    hash_of(s, parts_of, hash);
}

void
mc_engine_desired_hash_for(const mc_server_t *s, const char *pod_hash,
    char hash[65])
{
    hash_of(s, parts_once, hash);
    if (*hash == '\0' || strcmp(hash, pod_hash) != 0) {
        mc_engine_desired_hash(s, hash);
    }
}

int
mc_manifest_seal(const mc_alloc_t *a, mc_json_t *object, char hash[65])
{
    mc_json_t  *meta = mc_json_get(object, "metadata"), *annotations;
    mc_text_t   t = { .a = a };
    char        hex[65];

    annotations = mc_json_get(meta, "annotations");
    mc_json_remove(annotations, MC_ANNOTATION_HASH);
    if (annotations && annotations->n == 0) {
        mc_json_remove(meta, "annotations");
        annotations = NULL;
    }
    canonical(&t, object);
    if (meta == NULL || mc_text_end(&t) == NULL) {
        return -1;
    }
    mc_sha256_hex(t.p, t.len, hex);
    if (annotations == NULL) {
        annotations = mc_json_object(a);
        if (mc_json_set(a, meta, "annotations", annotations) != 0) {
            return -1;
        }
    }
    if (mc_json_set(a, annotations, MC_ANNOTATION_HASH,
                    mc_json_string(a, hex, 64)) != 0)
    {
        return -1;
    }
    if (hash) {
        memcpy(hash, hex, sizeof(hex));
    }
    return 0;
}
