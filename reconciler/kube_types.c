/*
 * Resource types and the paths of their objects. Pure.
 */

#include <stdio.h>
#include <string.h>
#include "http.h"
#include "kube.h"

const mc_kube_type_t
    mc_kube_minecraft_server = {
        "mchost.io/v1alpha1", "MinecraftServer", "minecraftservers", true
    },
    mc_kube_namespace = { "v1", "Namespace", "namespaces", false },
    mc_kube_stateful_set = { "apps/v1", "StatefulSet", "statefulsets", true },
    mc_kube_pod = { "v1", "Pod", "pods", true },
    mc_kube_service = { "v1", "Service", "services", true },
    mc_kube_config_map = { "v1", "ConfigMap", "configmaps", true },
    mc_kube_secret = { "v1", "Secret", "secrets", true },
    mc_kube_claim = {
        "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true
    },
    mc_kube_network_policy = {
        "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true
    },
    mc_kube_event = { "events.k8s.io/v1", "Event", "events", true },
    mc_kube_lease = { "coordination.k8s.io/v1", "Lease", "leases", true },
    mc_kube_node = { "v1", "Node", "nodes", false },
    mc_kube_storage_class = {
        "storage.k8s.io/v1", "StorageClass", "storageclasses", false
    };


typedef struct {
    char    *buf;
    size_t   size;
    size_t   len;                   /* what it would be with room for all */
} path_t;

static void
add(path_t *p, const char *s)
{
    size_t  n = strlen(s);

    if (p->len < p->size) {
        snprintf(p->buf + p->len, p->size - p->len, "%s", s);
    }
    p->len += n;
}

static void
add_segment(path_t *p, const char *s)
{
    add(p, "/");
    p->len += mc_http_escape(p->len < p->size ? p->buf + p->len : NULL,
                             p->len < p->size ? p->size - p->len : 0, s);
}


/* The core group has a root of its own: /api/v1, not /apis/GROUP/VERSION. */
size_t
mc_kube_path(char *buf, size_t size, const mc_kube_call_t *call)
{
    const mc_kube_type_t  *t = call->type;
    path_t                 p = { buf, size, 0 };

    if (size) {
        buf[0] = '\0';
    }
    add(&p, strchr(t->api_version, '/') ? "/apis/" : "/api/");
    add(&p, t->api_version);
    if (t->namespaced && call->ns && call->ns[0]) {
        add(&p, "/namespaces");
        add_segment(&p, call->ns);
    }
    add(&p, "/");
    add(&p, t->plural);
    if (call->name && call->name[0]) {
        add_segment(&p, call->name);
    }
    if (call->subresource && call->subresource[0]) {
        add(&p, "/");
        add(&p, call->subresource);
    }
    if (call->query && call->query[0]) {
        add(&p, "?");
        add(&p, call->query);
    }
    return p.len;
}


int
mc_kube_version_cmp(const char *a, const char *b)
{
    size_t  m, n;

    a += strspn(a, "0");
    b += strspn(b, "0");
    m = strlen(a);
    n = strlen(b);
    return m != n ? (m < n ? -1 : 1) : strcmp(a, b);
}
