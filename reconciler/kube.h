/*
 * The Kubernetes API: credentials, paths, verbs, and what the answers mean.
 * Requests go through one token bucket and one pool of connections; watches
 * and other streams have connections of their own.
 */

#ifndef MC_KUBE_H
#define MC_KUBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

typedef struct mc_kube_s      mc_kube_t;
typedef struct mc_kube_req_s  mc_kube_req_t;

typedef struct {
    const char  *kubeconfig;    /* files, ":" between them; "": in-cluster */
    const char  *context;       /* "": current-context */
    unsigned     qps;           /* requests per second, 0: 50 */
    unsigned     burst;         /* 0: 100 */
} mc_kube_conf_t;

/* A resource type, as its path and its objects name it. */
typedef struct {
    const char  *api_version;   /* "apps/v1", "v1" */
    const char  *kind;          /* "StatefulSet" */
    const char  *plural;        /* "statefulsets" */
    bool         namespaced;
} mc_kube_type_t;

extern const mc_kube_type_t
    mc_kube_minecraft_server, mc_kube_namespace, mc_kube_stateful_set,
    mc_kube_pod, mc_kube_service, mc_kube_config_map, mc_kube_secret,
    mc_kube_claim, mc_kube_network_policy, mc_kube_event, mc_kube_lease,
    mc_kube_node, mc_kube_storage_class;

/* What an answer means for whoever asked. */
typedef enum {
    MC_KUBE_OK,
    MC_KUBE_NOT_FOUND,          /* of an apply: its namespace, or the CRD */
    MC_KUBE_ALREADY_EXISTS,
    MC_KUBE_CONFLICT,           /* read again, decide again */
    MC_KUBE_FORBIDDEN,          /* RBAC, quota, or a namespace that ends */
    MC_KUBE_UNAUTHORIZED,       /* also with fresh credentials */
    MC_KUBE_INVALID,            /* only another request helps */
    MC_KUBE_GONE,               /* the resourceVersion is too old */
    MC_KUBE_THROTTLED,          /* 429; retry_after_s */
    MC_KUBE_UNAVAILABLE         /* 5xx, no answer, no connection */
} mc_kube_result_t;

/* Valid during the callback only. Strings are never NULL. */
typedef struct {
    mc_kube_result_t  result;
    long              status;       /* HTTP, 0: no answer */
    const char       *reason;       /* of the Status: "AlreadyExists", … */
    const char       *message;      /* a sentence for a person */
    const char       *field;        /* of the first cause, "" none */
    int               retry_after_s;
    const char       *body;         /* the object, of a success */
    size_t            len;
} mc_kube_reply_t;

typedef void (*mc_kube_done_pt)(void *data, const mc_kube_reply_t *reply);

/* A piece of a stream, cut anywhere; -1 ends it. */
typedef int (*mc_kube_data_pt)(void *data, const char *p, size_t len);

typedef struct {
    const char            *method;      /* "GET", "PATCH", … */
    const mc_kube_type_t  *type;
    const char            *ns;          /* "": all, or not namespaced */
    const char            *name;        /* "": the collection */
    const char            *subresource; /* "status", "log", …; "" none */
    const char            *query;       /* escaped, without "?"; "" none */
    const char            *content_type;
    const char            *body;        /* NULL: none; copied */
    size_t                 len;
    unsigned               timeout_ms;  /* 0: 30 s, of a stream: none */
    size_t                 max_body;    /* 0: 4 MB */
    bool                   urgent;      /* past the token bucket: leases */
    mc_kube_data_pt        on_data;     /* set: a stream */
    mc_kube_done_pt        done;
    void                  *data;
} mc_kube_call_t;

/* NULL and a sentence in err when no usable credentials are found. */
mc_kube_t *mc_kube_create(uv_loop_t *loop, const mc_kube_conf_t *conf,
    char *err, size_t errlen);

/* No callback comes any more. The loop must run until handles are closed. */
void mc_kube_destroy(mc_kube_t *kube);

/* True when the API answered lately, or nothing was asked yet. */
bool mc_kube_ready(const mc_kube_t *kube);

/* The namespace of the context, or of the pod we run in. */
const char *mc_kube_own_namespace(const mc_kube_t *kube);

/* The callback comes once, from the loop, never from within the call; NULL
 * and no callback when too much is waiting already or memory is out. An
 * answer of 401 is met with fresh credentials once, here; 429 and 5xx with
 * Retry-After of at most 5 s are waited out for reads. Everything else is the
 * caller's decision. */
mc_kube_req_t *mc_kube_send(mc_kube_t *kube, const mc_kube_call_t *call);

/* Not after done. Allowed from within on_data. */
void mc_kube_cancel(mc_kube_req_t *req);

/* The usual ones, all through mc_kube_send(). */
mc_kube_req_t *mc_kube_get(mc_kube_t *kube, const mc_kube_type_t *type,
    const char *ns, const char *name, mc_kube_done_pt done, void *data);

/* Server-side apply with force. subresource "" or "status". */
mc_kube_req_t *mc_kube_apply(mc_kube_t *kube, const mc_kube_type_t *type,
    const char *ns, const char *name, const char *subresource,
    const char *manager, const char *body, size_t len, mc_kube_done_pt done,
    void *data);

/* A JSON patch, RFC 6902. */
mc_kube_req_t *mc_kube_json_patch(mc_kube_t *kube, const mc_kube_type_t *type,
    const char *ns, const char *name, const char *subresource,
    const char *body, size_t len, mc_kube_done_pt done, void *data);

/* With the uid as precondition, in the background; grace_s -1: the object's
 * own. */
mc_kube_req_t *mc_kube_delete(mc_kube_t *kube, const mc_kube_type_t *type,
    const char *ns, const char *name, const char *uid, int grace_s,
    mc_kube_done_pt done, void *data);

/* The path of an object or a collection with its query, as snprintf(). */
size_t mc_kube_path(char *buf, size_t size, const mc_kube_call_t *call);

/* Sets server, TLS and credentials of a libcurl easy handle that somebody
 * else drives (an upgraded connection); *headers gets the Authorization line
 * appended and belongs to the caller. 0, or -1: no credentials now. */
struct curl_slist;
int mc_kube_prepare(mc_kube_t *kube, void *easy, const char *path,
    struct curl_slist **headers);

/* Compares resourceVersions: decimal numbers of any length. <0, 0, >0. */
int mc_kube_version_cmp(const char *a, const char *b);

#endif
