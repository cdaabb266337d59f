/*
 * The Kubernetes objects of a server, as JSON trees: one generator for every
 * engine. Pure; nothing in here asks the clock, the machine or an engine.
 *
 * A server with a namespace lives in Kubernetes. Its objects are in that
 * namespace and all but the claim have an owner, when there is one: what
 * deletes a MinecraftServer must not delete a world.
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
#define MC_ADDONS_CONTAINER    "addons"
#define MC_SECRET_KEY          "rcon-password"
#define MC_UID                 1000

#define MC_NAME_LEN            63

/* Of a NetworkPolicy, one in each namespace that has servers. */
#define MC_POLICY_NAME         "mchost"

/* In Kubernetes objects are named after the server, mc-<name> (a name that is
 * long, or ends like one of ours, is shortened and gets a hash): the Pod is
 * mc-<name>-0 as its StatefulSet wants it, the ConfigMap mc-<name>-config, the
 * headless Service mc-<name>-headless. The claim is mc-<id>: a world belongs
 * to an id, not to a name. In Podman everything is called mc-<id>, but the
 * ConfigMap mc-<id>-config, which is kept as a volume of its name. */
typedef enum {
    MC_NAME_SET, MC_NAME_POD, MC_NAME_SERVICE, MC_NAME_SECRET,
    MC_NAME_HEADLESS, MC_NAME_CONFIG, MC_NAME_CLAIM
} mc_manifest_name_t;

/* Uses the id, and in Kubernetes ns and name, of s. */
void mc_manifest_name(char dst[MC_NAME_LEN + 1], const mc_server_t *s,
    mc_manifest_name_t what);

/* Whether the server has a namespace. */
bool mc_manifest_in_kube(const mc_server_t *s);

/* The controller of a server's objects: its MinecraftServer. */
typedef struct {
    const char  *api_version;
    const char  *kind;
    const char  *name;
    const char  *uid;
} mc_manifest_owner_t;

/* What a generator needs to know besides the server. */
typedef struct {
    const mc_alloc_t  *a;
    const mc_server_t *server;
    const char        *demo_image;
    const mc_manifest_owner_t  *owner;      /* NULL: none */
} mc_manifest_t;

/* Each returns NULL when memory is out. replicas is 0 or 1. */
mc_json_t *mc_manifest_labels(const mc_manifest_t *m);
mc_json_t *mc_manifest_config_map(const mc_manifest_t *m);
mc_json_t *mc_manifest_pod_template(const mc_manifest_t *m);
mc_json_t *mc_manifest_stateful_set(const mc_manifest_t *m, int replicas);
mc_json_t *mc_manifest_claim(const mc_manifest_t *m);
mc_json_t *mc_manifest_service(const mc_manifest_t *m);
mc_json_t *mc_manifest_headless_service(const mc_manifest_t *m);
mc_json_t *mc_manifest_secret(const mc_manifest_t *m, const char *password);

/* What a namespace's policy needs to know. Strings may be "". */
typedef struct {
    const char  *ns;
    const char  *tenant_id;
    const char  *reconciler_ns;     /* who may use RCON */
    const char  *api_address;       /* of the cluster, when it is an IP address */
} mc_manifest_policy_t;

/* The NetworkPolicy of all servers of a namespace: players come from anywhere,
 * RCON from the reconciler's namespace (and, as ever, from the pod's node);
 * out it goes to name servers, the internet and the game ports of servers
 * beside it, not to the cluster's or the machines' own addresses. */
mc_json_t *mc_manifest_network_policy(const mc_alloc_t *a,
    const mc_manifest_policy_t *p);

/* Adds the annotation mchost.io/applied-hash, the SHA-256 of the object as it
 * is, and copies it to hash when that is not NULL. To be called last; what is
 * set later (metadata.uid) does not count. -1: no memory. */
int mc_manifest_seal(const mc_alloc_t *a, mc_json_t *object, char hash[65]);

/* The template as a Pod for Podman: named, never restarted by itself, its
 * game port bound to this machine's address and port, and without what Podman
 * takes for something else (files of a ConfigMap, ports that are not to be
 * published). */
mc_json_t *mc_manifest_podman_pod(const mc_manifest_t *m,
    const char *address, uint16_t port);

/* The image that runs this spec. */
const char *mc_manifest_image(const mc_manifest_t *m, char buf[128]);

#endif
