/*
 * The hash of what only a new pod can take over. It is made of the wishes in
 * the spec, not of the manifests: a new version of this program that writes
 * them otherwise must not restart every server there is.
 */

#include <stdlib.h>
#include <string.h>
#include "arena.h"
#include "engine.h"
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

void
mc_engine_desired_hash(const mc_server_t *s, char hash[65])
{
    static const char *const  parts[] = {
        "software", "properties", "access", "jvm", "resources", "addons",
        "eula.accepted", "network.proxyProtocol"
    };
    mc_arena_t               *arena = mc_arena_create();
    mc_alloc_t                a;
    mc_text_t                 t = { 0 };
    size_t                    i;

    hash[0] = '\0';
    if (arena == NULL) {
        return;
    }
    a = mc_arena_allocator(arena);
    t.a = &a;
    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        mc_text_printf(&t, "%s=", parts[i]);
        canonical(&t, mc_json_at(s->spec, parts[i]));
        mc_text_puts(&t, ";");
    }
    if (mc_text_end(&t)) {
        mc_sha256_hex(t.p, t.len, hash);
        hash[63] = '\0';            /* Podman's limit of an annotation */
    }
    mc_arena_destroy(arena);
}
