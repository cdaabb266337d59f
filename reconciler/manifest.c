/*
 * What stands around the pod: StatefulSet, Services, claim.
 */

#include <stdio.h>
#include <string.h>
#include "manifest_private.h"
#include "properties.h"

mc_json_t *
mc_manifest_labels(const mc_manifest_t *m)
{
    build_t     b;
    mc_json_t  *v;

    mc_build_init(&b, m);
    v = mc_build_labels(&b);
    return mc_build_end(&b, v);
}

/* Pods of this server; it can never be changed. */
static mc_json_t *
selector(build_t *b)
{
    mc_json_t  *v = mc_build_obj(b);

    mc_build_str(b, v, MC_LABEL_SERVER, b->server->id);
    return v;
}

/* OnDelete: a changed template waits until the reconciler decides that the
 * server may restart. There are no claim templates: those cannot be changed,
 * and the claim must outlive the set. */
mc_json_t *
mc_manifest_stateful_set(const mc_manifest_t *m, int replicas)
{
    build_t     b;
    mc_json_t  *v, *spec;
    char        name[MC_NAME_LEN + 1];

    mc_build_init(&b, m);
    mc_manifest_name(name, m->server, MC_NAME_SET);
    v = mc_build_object(&b, "apps/v1", "StatefulSet", name);
    mc_build_owner(&b, v);
    spec = mc_build_obj_in(&b, v, "spec");
    mc_build_num(&b, spec, "replicas", replicas);
    mc_manifest_name(name, m->server, MC_NAME_HEADLESS);
    mc_build_str(&b, spec, "serviceName", name);
    mc_build_str(&b, spec, "podManagementPolicy", "Parallel");
    mc_build_str(&b, mc_build_obj_in(&b, spec, "updateStrategy"), "type",
                 "OnDelete");
    mc_build_num(&b, spec, "revisionHistoryLimit", 1);
    mc_build_set(&b, mc_build_obj_in(&b, spec, "selector"), "matchLabels",
                 selector(&b));
    mc_build_set(&b, spec, "template", mc_manifest_pod_template(m));
    return mc_build_end(&b, v);
}

mc_json_t *
mc_manifest_claim(const mc_manifest_t *m)
{
    build_t      b;
    mc_json_t   *v, *spec, *o;
    const char  *class;
    char         name[MC_NAME_LEN + 1];

    mc_build_init(&b, m);
    mc_manifest_name(name, m->server, MC_NAME_CLAIM);
    v = mc_build_object(&b, "v1", "PersistentVolumeClaim", name);
    spec = mc_build_obj_in(&b, v, "spec");
    mc_build_add_str(&b, mc_build_arr_in(&b, spec, "accessModes"),
                     "ReadWriteOnce");
    o = mc_build_obj_in(&b, mc_build_obj_in(&b, spec, "resources"),
                        "requests");
    mc_build_str(&b, o, "storage", mc_build_spec(&b, "storage.size", "10Gi"));
    class = mc_build_spec(&b, "storage.storageClassName", NULL);
    if (class) {
        mc_build_str(&b, spec, "storageClassName", class);
    }
    return mc_build_end(&b, v);
}

static void
service_port(build_t *b, mc_json_t *list, const char *name, int port)
{
    mc_json_t  *o = mc_build_obj(b);

    mc_build_str(b, o, "name", name);
    mc_build_num(b, o, "port", port);
    mc_build_str(b, o, "targetPort", name);
    mc_build_str(b, o, "protocol", "TCP");
    mc_build_add(b, list, o);
}

/* Where players arrive. Behind the router it is reached from inside only. */
mc_json_t *
mc_manifest_service(const mc_manifest_t *m)
{
    build_t           b;
    mc_json_t        *v, *spec;
    const mc_json_t  *annotations;
    const char       *exposure;
    char              name[MC_NAME_LEN + 1];

    mc_build_init(&b, m);
    mc_manifest_name(name, m->server, MC_NAME_SERVICE);
    v = mc_build_object(&b, "v1", "Service", name);
    mc_build_owner(&b, v);
    annotations = mc_json_at(b.spec, "network.annotations");
    if (annotations && annotations->n) {
        mc_build_set(&b, mc_json_get(v, "metadata"), "annotations",
                     mc_json_copy(b.a, annotations));
    }
    exposure = mc_build_spec(&b, "network.exposure", "Router");
    spec = mc_build_obj_in(&b, v, "spec");
    mc_build_str(&b, spec, "type",
                 strcmp(exposure, "Router") == 0 ? "ClusterIP" : exposure);
    if (strcmp(exposure, "LoadBalancer") == 0) {
        /* the game sees, and can ban, the players' own addresses */
        mc_build_str(&b, spec, "externalTrafficPolicy", "Local");
    }
    mc_build_set(&b, spec, "selector", selector(&b));
    service_port(&b, mc_build_arr_in(&b, spec, "ports"), "minecraft",
                 MC_GAME_PORT);
    return mc_build_end(&b, v);
}

/* The pod's own name, for the reconciler: RCON is needed before the game is
 * ready as well. */
mc_json_t *
mc_manifest_headless_service(const mc_manifest_t *m)
{
    build_t     b;
    mc_json_t  *v, *spec, *list;
    char        name[MC_NAME_LEN + 1];

    mc_build_init(&b, m);
    mc_manifest_name(name, m->server, MC_NAME_HEADLESS);
    v = mc_build_object(&b, "v1", "Service", name);
    mc_build_owner(&b, v);
    spec = mc_build_obj_in(&b, v, "spec");
    mc_build_str(&b, spec, "clusterIP", "None");
    mc_build_bool(&b, spec, "publishNotReadyAddresses", true);
    mc_build_set(&b, spec, "selector", selector(&b));
    list = mc_build_arr_in(&b, spec, "ports");
    service_port(&b, list, "minecraft", MC_GAME_PORT);
    service_port(&b, list, "rcon", MC_RCON_PORT);
    return mc_build_end(&b, v);
}
