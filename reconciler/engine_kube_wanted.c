/*
 * The objects as they are to be, and whether those that are there are so.
 * Pure.
 */

#include <stdio.h>
#include <string.h>
#include "engine_kube_private.h"

const kube_kind_t  kube_child_kind[KUBE_CHILD_N] = {
    [KUBE_CHILD_POLICY] = KUBE_POLICY,
    [KUBE_CHILD_SECRET] = KUBE_SECRET,
    [KUBE_CHILD_CLAIM] = KUBE_CLAIM,
    [KUBE_CHILD_CONFIG] = KUBE_CONFIG,
    [KUBE_CHILD_HEADLESS] = KUBE_SERVICE,
    [KUBE_CHILD_SERVICE] = KUBE_SERVICE,
    [KUBE_CHILD_SET] = KUBE_SET
};


void
kube_child_name(char dst[MC_NAME_LEN + 1], kube_child_t child,
    const mc_server_t *s)
{
    static const mc_manifest_name_t  names[KUBE_CHILD_N] = {
        [KUBE_CHILD_SECRET] = MC_NAME_SECRET,
        [KUBE_CHILD_CLAIM] = MC_NAME_CLAIM,
        [KUBE_CHILD_CONFIG] = MC_NAME_CONFIG,
        [KUBE_CHILD_HEADLESS] = MC_NAME_HEADLESS,
        [KUBE_CHILD_SERVICE] = MC_NAME_SERVICE,
        [KUBE_CHILD_SET] = MC_NAME_SET
    };

    if (child == KUBE_CHILD_POLICY) {
        snprintf(dst, MC_NAME_LEN + 1, "%s", MC_POLICY_NAME);
    } else {
        mc_manifest_name(dst, s, names[child]);
    }
}


static mc_json_t *
secret(const mc_manifest_t *m)
{
    char        password[65];
    mc_json_t  *v;

    mc_rcon_password(m->server->id, password);
    v = mc_manifest_secret(m, password);
    explicit_bzero(password, sizeof(password));
    return v;
}


static mc_json_t *
body(const kube_t *k, const mc_manifest_t *m, kube_child_t child)
{
    const mc_manifest_policy_t  policy = {
        .ns = m->server->ns, .tenant_id = m->server->tenant_id,
        .reconciler_ns = mc_kube_own_namespace(k->client),
        .api_address = ""
    };

    switch (child) {
    case KUBE_CHILD_POLICY:
        return mc_manifest_network_policy(m->a, &policy);
    case KUBE_CHILD_SECRET:
        return secret(m);
    case KUBE_CHILD_CLAIM:
        return mc_manifest_claim(m);
    case KUBE_CHILD_CONFIG:
        return mc_manifest_config_map(m);
    case KUBE_CHILD_HEADLESS:
        return mc_manifest_headless_service(m);
    case KUBE_CHILD_SERVICE:
        return mc_manifest_service(m);
    case KUBE_CHILD_SET:
        return mc_manifest_stateful_set(m, 1);
    case KUBE_CHILD_N:
        break;
    }
    return NULL;
}


mc_json_t *
kube_wanted(const kube_t *k, const mc_alloc_t *a, kube_child_t child,
    const mc_server_t *s, char hash[65])
{
    mc_manifest_owner_t  owner = {
        .api_version = mc_kube_minecraft_server.api_version,
        .kind = mc_kube_minecraft_server.kind, .name = s->name,
        .uid = kube_owner_uid(k, s)
    };
    mc_manifest_t        m = {
        .a = a, .server = s, .demo_image = k->conf.demo_image,
        .owner = *owner.uid ? &owner : NULL
    };
    mc_json_t           *v = body(k, &m, child);

    return v && mc_manifest_seal(a, v, hash) == 0 ? v : NULL;
}


kube_verdict_t
kube_verify(const mc_alloc_t *a, const char *text, size_t len,
    const mc_json_t *wanted, char *where, size_t size)
{
    mc_json_error_t   err;
    mc_json_t        *there = mc_json_parse(a, text, len, &err);
    mc_json_t        *v = mc_json_copy(a, wanted);
    int64_t           replicas;

    where[0] = '\0';
    if (there == NULL || v == NULL) {
        return KUBE_UNVERIFIED;
    }
    /* a list's items come without these */
    mc_json_remove(v, "apiVersion");
    mc_json_remove(v, "kind");
    if (mc_json_at(v, "spec.replicas")) {
        /* one that was stopped has none; but never two on one world */
        replicas = mc_json_int(mc_json_at(there, "spec.replicas"), 1);
        mc_json_remove(mc_json_get(v, "spec"), "replicas");
        if (replicas > 1) {
            snprintf(where, size, "spec.replicas");
            return KUBE_DRIFTED;
        }
    }
    return mc_kube_contains(there, v, where, size) ? KUBE_AS_WANTED
                                                   : KUBE_DRIFTED;
}
