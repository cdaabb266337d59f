/*
 * The pod: how the server runs.
 */

#include <stdio.h>
#include <string.h>
#include "engine.h"
#include "manifest_private.h"
#include "properties.h"

static int
game_port(const build_t *b)
{
    return strcmp(b->type, "velocity") == 0 ? MC_PROXY_PORT : MC_GAME_PORT;
}

static void
ports(build_t *b, mc_json_t *container)
{
    mc_json_t  *list = mc_build_arr_in(b, container, "ports"), *o;

    o = mc_build_obj(b);
    mc_build_str(b, o, "name", "minecraft");
    mc_build_num(b, o, "containerPort", game_port(b));
    mc_build_str(b, o, "protocol", "TCP");
    mc_build_add(b, list, o);

    o = mc_build_obj(b);
    mc_build_str(b, o, "name", "rcon");
    mc_build_num(b, o, "containerPort", MC_RCON_PORT);
    mc_build_str(b, o, "protocol", "TCP");
    mc_build_add(b, list, o);
}

static void
resources(build_t *b, mc_json_t *container)
{
    mc_json_t   *res = mc_build_obj_in(b, container, "resources"), *o;
    const char  *memory = mc_build_spec(b, "resources.memory", "2Gi");

    o = mc_build_obj_in(b, res, "limits");
    mc_build_str(b, o, "cpu", mc_build_spec(b, "resources.cpu", "1"));
    mc_build_str(b, o, "memory", memory);

    /* a request that is not there would be as high as the limit */
    o = mc_build_obj_in(b, res, "requests");
    mc_build_str(b, o, "cpu", mc_build_spec(b, "resources.cpuRequest", "10m"));
    mc_build_str(b, o, "memory",
                 mc_build_spec(b, "resources.memoryRequest", memory));
}

/* The itzg images bring a status ping; for the others the port must do. */
static mc_json_t *
probe(build_t *b, int period, int failures)
{
    mc_json_t  *o = mc_build_obj(b), *command;

    if (mc_build_is_game(b) && strcmp(b->type, "custom") != 0) {
        command = mc_build_arr_in(b, mc_build_obj_in(b, o, "exec"),
                                  "command");
        mc_build_add_str(b, command, "mc-health");
    } else {
        mc_build_str(b, mc_build_obj_in(b, o, "tcpSocket"), "port",
                     "minecraft");
    }
    mc_build_num(b, o, "periodSeconds", period);
    mc_build_num(b, o, "timeoutSeconds", 5);
    mc_build_num(b, o, "failureThreshold", failures);
    return o;
}

/* Nothing here ever kills a game: one that generates a world may take hours,
 * one that saves a large one minutes without an answer. There is no liveness
 * probe, and the start probe, whose failure would kill, has a day. */
static void
probes(build_t *b, mc_json_t *container)
{
    mc_build_set(b, container, "startupProbe", probe(b, 5, 24 * 60 * 60 / 5));
    mc_build_set(b, container, "readinessProbe", probe(b, 10, 3));
}

/* Whatever ends the pod, a drained node with the reconciler away as well, the
 * world is saved first; then comes TERM, which the images turn into the
 * console's "stop". A hook that fails must not be the news of the day. */
static void
pre_stop(build_t *b, mc_json_t *container)
{
    mc_json_t  *command;

    if (strcmp(b->type, "velocity") == 0) {
        return;                         /* nothing to save */
    }
    command = mc_build_arr_in(b, mc_build_obj_in(b, mc_build_obj_in(b,
                  mc_build_obj_in(b, container, "lifecycle"), "preStop"),
                  "exec"), "command");
    mc_build_add_str(b, command, "sh");
    mc_build_add_str(b, command, "-c");
    mc_build_add_str(b, command,
                     "timeout 20 rcon-cli save-all flush >/dev/null 2>&1 || :");
}

/* More or less CPU takes effect at once. Memory is never changed in place, as
 * Java's heap would not follow; were it to be, nothing is to be killed. */
static void
resize_policy(build_t *b, mc_json_t *container)
{
    static const char *const  resource[] = { "cpu", "memory" };
    mc_json_t                *list, *o;
    size_t                    i;

    list = mc_build_arr_in(b, container, "resizePolicy");
    for (i = 0; i < 2; i++) {
        o = mc_build_obj(b);
        mc_build_str(b, o, "resourceName", resource[i]);
        mc_build_str(b, o, "restartPolicy", "NotRequired");
        mc_build_add(b, list, o);
    }
}

static void
container_security(build_t *b, mc_json_t *container, bool read_only)
{
    mc_json_t  *o = mc_build_obj_in(b, container, "securityContext");
    mc_json_t  *caps = mc_build_obj_in(b, o, "capabilities");

    mc_build_add_str(b, mc_build_arr_in(b, caps, "drop"), "ALL");
    mc_build_bool(b, o, "allowPrivilegeEscalation", false);
    if (read_only) {
        mc_build_bool(b, o, "readOnlyRootFilesystem", true);
    }
}

static const char *
data_dir(const build_t *b)
{
    return strcmp(b->type, "velocity") == 0 ? "/server" : "/data";
}

/* The other images write to themselves while they start. */
static bool
read_only_root(const build_t *b)
{
    return mc_manifest_in_kube(b->server) && strcmp(b->type, "demo") == 0;
}

static void
mount(build_t *b, mc_json_t *list, const char *volume, const char *path)
{
    mc_json_t  *o = mc_build_obj(b);

    mc_build_str(b, o, "name", volume);
    mc_build_str(b, o, "mountPath", path);
    mc_build_add(b, list, o);
}

/* Every file is mounted by itself: a ConfigMap as a whole comes as links into
 * hidden directories, which the image would copy as well. */
static void
mounts(build_t *b, mc_json_t *container)
{
    mc_json_t        *list = mc_build_arr_in(b, container, "volumeMounts");
    mc_json_t        *o, *files = mc_build_files(b);
    const mc_json_t  *f;
    char              path[96];

    mount(b, list, "data", data_dir(b));
    if (read_only_root(b)) {
        mount(b, list, "tmp", "/tmp");
    }
    for (f = files ? files->child : NULL; f; f = f->next) {
        snprintf(path, sizeof(path), "/config/%s", f->key);
        o = mc_build_obj(b);
        mc_build_str(b, o, "name", "config");
        mc_build_str(b, o, "mountPath", path);
        mc_build_str(b, o, "subPath", f->key);
        mc_build_bool(b, o, "readOnly", true);
        mc_build_add(b, list, o);
    }
}

static void
volumes(build_t *b, mc_json_t *spec)
{
    mc_json_t  *list = mc_build_arr_in(b, spec, "volumes"), *o;
    char        name[MC_NAME_LEN + 1];

    mc_manifest_name(name, b->server, MC_NAME_CLAIM);
    o = mc_build_obj(b);
    mc_build_str(b, o, "name", "data");
    mc_build_str(b, mc_build_obj_in(b, o, "persistentVolumeClaim"),
                 "claimName", name);
    mc_build_add(b, list, o);

    mc_manifest_name(name, b->server, MC_NAME_CONFIG);
    o = mc_build_obj(b);
    mc_build_str(b, o, "name", "config");
    mc_build_str(b, mc_build_obj_in(b, o, "configMap"), "name", name);
    mc_build_add(b, list, o);

    if (read_only_root(b)) {
        o = mc_build_obj(b);
        mc_build_str(b, o, "name", "tmp");
        mc_build_str(b, mc_build_obj_in(b, o, "emptyDir"), "sizeLimit",
                     "64Mi");
        mc_build_add(b, list, o);
    }
}

static const char *
pull_policy(build_t *b)
{
    return mc_build_spec(b, "software.imagePullPolicy",
                         strcmp(b->type, "demo") == 0 ? "Never"
                                                      : "IfNotPresent");
}

static void
image(build_t *b, mc_json_t *container)
{
    char  buf[128];

    mc_build_str(b, container, "image", mc_manifest_image(b->m, buf));
    mc_build_str(b, container, "imagePullPolicy", pull_policy(b));
}

static mc_json_t *
container(build_t *b)
{
    mc_json_t  *c = mc_build_obj(b);

    mc_build_str(b, c, "name", MC_CONTAINER);
    image(b, c);
    mc_build_set(b, c, "env", mc_build_env(b));
    ports(b, c);
    resources(b, c);
    if (mc_manifest_in_kube(b->server)) {
        resize_policy(b, c);
        pre_stop(b, c);
        probes(b, c);
        mc_build_str(b, c, "terminationMessagePolicy",
                     "FallbackToLogsOnError");
    }
    container_security(b, c, read_only_root(b));
    mounts(b, c);
    return c;
}

/* Also without add-ons: those that were there before have to go. Of an image
 * of somebody's own it is asked only when it matters. */
static void
addons_container(build_t *b, mc_json_t *spec)
{
    mc_json_t   *c, *list;
    const char  *addons = mc_build_addons(b);

    if (strcmp(b->type, "custom") == 0
        && mc_json_get(b->spec, "addons") == NULL)
    {
        return;
    }
    c = mc_build_obj(b);
    mc_build_str(b, c, "name", MC_ADDONS_CONTAINER);
    image(b, c);
    list = mc_build_arr_in(b, c, "command");
    mc_build_add_str(b, list, "sh");
    mc_build_add_str(b, list, "-c");
    mc_build_add_str(b, list, mc_addons_sh);
    list = mc_build_arr_in(b, c, "env");
    mc_build_env_add(b, list, "DATA", data_dir(b));
    mc_build_env_add(b, list, "ADDONS", addons);
    resources(b, c);
    container_security(b, c, true);
    mount(b, mc_build_arr_in(b, c, "volumeMounts"), "data", data_dir(b));
    mc_build_add(b, mc_build_arr_in(b, spec, "initContainers"), c);
}

static void
pod_security(build_t *b, mc_json_t *spec)
{
    mc_json_t  *o = mc_build_obj_in(b, spec, "securityContext");

    mc_build_num(b, o, "runAsUser", MC_UID);
    mc_build_num(b, o, "runAsGroup", MC_UID);
    mc_build_bool(b, o, "runAsNonRoot", true);
    mc_build_num(b, o, "fsGroup", MC_UID);
    mc_build_str(b, o, "fsGroupChangePolicy", "OnRootMismatch");
    mc_build_str(b, mc_build_obj_in(b, o, "seccompProfile"), "type",
                 "RuntimeDefault");
}

/* The announcement and the time to save, and some to end in peace. */
static int64_t
termination_grace(const build_t *b)
{
    return mc_json_int(mc_json_at(b->spec, "shutdown.announceSeconds"), 0)
           + mc_json_int(mc_json_at(b->spec, "shutdown.graceSeconds"), 60)
           + 30;
}

static mc_json_t *
pod_spec(build_t *b)
{
    mc_json_t  *spec = mc_build_obj(b);

    mc_build_bool(b, spec, "automountServiceAccountToken", false);
    mc_build_bool(b, spec, "enableServiceLinks", false);
    mc_build_num(b, spec, "terminationGracePeriodSeconds",
                 termination_grace(b));
    pod_security(b, spec);
    if (mc_manifest_in_kube(b->server)) {
        addons_container(b, spec);
    }
    mc_build_add(b, mc_build_arr_in(b, spec, "containers"), container(b));
    volumes(b, spec);
    return spec;
}

static void
annotations(build_t *b, mc_json_t *meta)
{
    mc_json_t  *o = mc_build_obj_in(b, meta, "annotations");
    char        hash[65];

    mc_engine_desired_hash(b->server, hash);
    mc_build_str(b, o, MC_ANNOTATION_HASH, hash);
    mc_build_str(b, o, MC_ANNOTATION_RESTART,
                 mc_build_spec(b, "restartToken", ""));
}

mc_json_t *
mc_manifest_pod_template(const mc_manifest_t *m)
{
    build_t     b;
    mc_json_t  *v, *meta;

    mc_build_init(&b, m);
    v = mc_build_obj(&b);
    meta = mc_build_obj_in(&b, v, "metadata");
    mc_build_set(&b, meta, "labels", mc_build_labels(&b));
    annotations(&b, meta);
    mc_build_set(&b, v, "spec", pod_spec(&b));
    return mc_build_end(&b, v);
}


/* -- for Podman -- */

/* Podman publishes every port it reads on all addresses, if need be under its
 * own number: only the game's may be there. */
static void
podman_ports(build_t *b, mc_json_t *c, const char *address, uint16_t port)
{
    mc_json_t  *list = mc_build_arr(b), *o = mc_build_obj(b);

    mc_build_str(b, o, "name", "minecraft");
    mc_build_num(b, o, "containerPort", game_port(b));
    mc_build_num(b, o, "hostPort", port);
    mc_build_str(b, o, "hostIP", address);
    mc_build_str(b, o, "protocol", "TCP");
    mc_build_add(b, list, o);
    mc_build_set(b, c, "ports", list);
}

/* Podman takes values as they are: single dollars again. */
static void
podman_env(build_t *b, mc_json_t *c)
{
    const mc_json_t  *v = mc_json_get(c, "env");
    mc_json_t        *o;
    const char       *value;
    char             *copy, *d;

    for (v = v ? v->child : NULL; v; v = v->next) {
        value = mc_json_str(mc_json_get(v, "value"), NULL);
        if (value == NULL || strchr(value, '$') == NULL) {
            continue;
        }
        copy = d = b->a->alloc(b->a->pool, strlen(value) + 1);
        if (copy == NULL) {
            b->failed = true;
            return;
        }
        for (; *value; value++) {
            *d++ = *value;
            if (value[0] == '$' && value[1] == '$') {
                value++;
            }
        }
        *d = '\0';
        o = mc_json_get(v, "value");
        o->str = copy;
        o->len = (size_t) (d - copy);
    }
}

/* Podman knows no subPath, but mounts a ConfigMap as plain files. */
static void
podman_mounts(build_t *b, mc_json_t *c)
{
    const mc_json_t  *m = mc_json_get(c, "volumeMounts");
    mc_json_t        *list = mc_build_arr(b), *o;
    bool              config = false;

    for (m = m ? m->child : NULL; m; m = m->next) {
        if (mc_json_get(m, "subPath")) {
            config = true;
        } else {
            mc_build_add(b, list, mc_json_copy(b->a, m));
        }
    }
    if (config) {
        o = mc_build_obj(b);
        mc_build_str(b, o, "name", "config");
        mc_build_str(b, o, "mountPath", "/config");
        mc_build_bool(b, o, "readOnly", true);
        mc_build_add(b, list, o);
    }
    mc_build_set(b, c, "volumeMounts", list);
}

mc_json_t *
mc_manifest_podman_pod(const mc_manifest_t *m, const char *address,
    uint16_t port)
{
    build_t           b;
    mc_json_t        *v, *template, *meta, *spec, *list, *c;
    char              name[MC_NAME_LEN + 1];

    template = mc_manifest_pod_template(m);
    if (template == NULL) {
        return NULL;
    }
    mc_build_init(&b, m);
    mc_manifest_name(name, m->server, MC_NAME_POD);
    v = mc_build_obj(&b);
    meta = mc_json_get(template, "metadata");
    spec = mc_json_get(template, "spec");
    list = mc_json_get(spec, "containers");
    c = list->child;
    mc_build_str(&b, v, "apiVersion", "v1");
    mc_build_str(&b, v, "kind", "Pod");
    mc_build_str(&b, meta, "name", name);
    mc_build_set(&b, v, "metadata", mc_json_copy(b.a, meta));
    mc_build_str(&b, spec, "restartPolicy", "Never");
    /* the engine sees to the image itself, with better errors */
    mc_build_str(&b, c, "imagePullPolicy", "Never");
    podman_ports(&b, c, address, port);
    podman_mounts(&b, c);
    podman_env(&b, c);
    mc_build_set(&b, v, "spec", mc_json_copy(b.a, spec));
    return mc_build_end(&b, v);
}
