/*
 * The Kubernetes objects of a server, as JSON trees: one generator for every
 * engine. Pure; nothing in here asks the clock, the machine or an engine.
 *
 * Names: everything is called mc-<id>, but the ConfigMap mc-<id>-config
 * (Podman keeps a ConfigMap as a volume of its name, and the world's volume is
 * mc-<id>) and the headless Service mc-<id>-headless. The claim and the
 * ConfigMap have no owner: what deletes a StatefulSet must not delete a world.
 */

#ifndef MC_MANIFEST_H
#define MC_MANIFEST_H

#include "mc_json.h"
#include "server.h"

#define MC_LABEL_TENANT        "mchost.io/tenant"
#define MC_LABEL_SERVER        "mchost.io/server-id"
#define MC_LABEL_GAME_PORT     "mchost.io/game-port"
#define MC_ANNOTATION_HASH     "mchost.io/applied-hash"
#define MC_ANNOTATION_RESTART  "mchost.io/restart-token"

#define MC_CONTAINER           "server"
#define MC_SECRET_KEY          "rcon-password"
#define MC_UID                 1000

#define MC_NAME_LEN            63

/* "mc-<id>", "mc-<id>-config". */
void mc_manifest_name(char dst[MC_NAME_LEN + 1], const char *server_id);
void mc_manifest_config_name(char dst[MC_NAME_LEN + 1],
    const char *server_id);

/* What a generator needs to know besides the server. */
typedef struct {
    const mc_alloc_t  *a;
    const mc_server_t *server;
    const char        *demo_image;
} mc_manifest_t;

/* Each returns NULL when memory is out. replicas is 0 or 1. */
mc_json_t *mc_manifest_labels(const mc_manifest_t *m);
mc_json_t *mc_manifest_config_map(const mc_manifest_t *m);
mc_json_t *mc_manifest_pod_template(const mc_manifest_t *m);
mc_json_t *mc_manifest_stateful_set(const mc_manifest_t *m, int replicas);
mc_json_t *mc_manifest_claim(const mc_manifest_t *m);
mc_json_t *mc_manifest_service(const mc_manifest_t *m);
mc_json_t *mc_manifest_headless_service(const mc_manifest_t *m);

/* The template as a Pod for Podman: named, never restarted by itself, its
 * game port bound to this machine's address and port, and without what Podman
 * takes for something else (files of a ConfigMap, ports that are not to be
 * published, probes). */
mc_json_t *mc_manifest_podman_pod(const mc_manifest_t *m,
    const char *address, uint16_t port);

/* The image that runs this spec. */
const char *mc_manifest_image(const mc_manifest_t *m, char buf[128]);

#endif
