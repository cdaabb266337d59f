/*
 * Kubernetes objects reduced to what the operator needs, read by a streaming
 * parser: a pod of 8 KB becomes some hundred bytes. Pure.
 */

#ifndef MC_KUBE_OBJECT_H
#define MC_KUBE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mc_uuid.h"

/* What every object has. Strings belong to the object; "" when absent. */
typedef struct {
    char     *ns;
    char     *name;
    char      uid[MC_UUID_LEN + 1];
    char     *version;                  /* resourceVersion */
    int64_t   generation;               /* 0: the kind has none */
    bool      deleting;                 /* has a deletionTimestamp */
    bool      ours;                     /* label managed-by is mchost */
    char      server_id[MC_UUID_LEN + 1];   /* label mchost.io/server-id */
    char      tenant_id[MC_UUID_LEN + 1];   /* label mchost.io/tenant */
    char      owner_uid[MC_UUID_LEN + 1];   /* of the controller */
    char      applied_hash[65];         /* annotation mchost.io/applied-hash */
    char      restart[64];              /* annotation mchost.io/restart-token */
} mc_kube_meta_t;

typedef struct {
    char     *phase;                    /* "Pending", "Running", … */
    char     *ip;
    char     *host_ip;
    char     *node;
    bool      ready;                    /* condition Ready */
    bool      scheduled;                /* condition PodScheduled */
    char     *unscheduled_message;      /* why not */
    char     *reason;                   /* status.reason: "Evicted", … */
    char     *message;
    /* The container MC_CONTAINER: */
    bool      running;
    bool      started;                  /* its startup probe succeeded */
    int64_t   started_ms;               /* Unix */
    char     *waiting_reason;           /* "ImagePullBackOff", … */
    char     *waiting_message;
    unsigned  restarts;
    bool      terminated;               /* now, or the time before */
    int       exit_code;
    int64_t   finished_ms;
    bool      oom_killed;
    /* An init container that failed or waits: */
    char     *init_name;
    char     *init_reason;
    char     *init_message;
    char     *cpu_limit;                /* of MC_CONTAINER, in force */
    char     *resize_reason;            /* condition PodResizePending: reason */
    char     *resize_message;
} mc_kube_pod_t;

typedef struct {
    int64_t   replicas;                 /* wanted */
    int64_t   current;                  /* status.replicas */
    char      template_hash[65];        /* the template's applied-hash */
} mc_kube_set_t;

typedef struct {
    char     *phase;                    /* "Bound", "Pending", "Lost" */
    char     *size;                     /* spec.resources.requests.storage */
    char     *capacity;                 /* status.capacity.storage */
    char     *storage_class;
    char     *resize_reason;            /* a resize condition that is True */
    char     *resize_message;
} mc_kube_claim_t;

typedef struct {
    char     *type;                     /* "ClusterIP", … */
    char     *cluster_ip;
    uint16_t  node_port;                /* of the port "minecraft", 0: none */
    char     *ingress;                  /* hostname or IP of the load balancer */
} mc_kube_service_t;

/* The members of the kind that the object is of are set. */
typedef struct {
    mc_kube_meta_t     meta;
    mc_kube_pod_t      pod;
    mc_kube_set_t      set;
    mc_kube_claim_t    claim;
    mc_kube_service_t  service;
} mc_kube_object_t;

/* Reads the text of one object into a new one, which is one allocation with
 * its strings (mc_kube_object_free()). NULL when it is no such object or
 * memory is out. */
mc_kube_object_t *mc_kube_object_read(const char *text, size_t len);
void mc_kube_object_free(mc_kube_object_t *obj);

/* Reads no further than its metadata, which may lack the name (a bookmark's
 * does); free it the same way. NULL as above. */
mc_kube_object_t *mc_kube_object_meta(const char *text, size_t len);

/* Whether everything that `wanted` sets is in `there` with the same value:
 * quantities and numbers compared as such, lists with a merge key ("name",
 * "containerPort", "mountPath", "port", "type", "uid", "key", "ip") by it,
 * others in order, null and what the API drops (false, 0, empty) as absent.
 * On a difference its path is in where. What others have added does not
 * matter. */
struct mc_json_s;
bool mc_kube_contains(const struct mc_json_s *there,
    const struct mc_json_s *wanted, char *where, size_t size);

#endif
