/*
 * Kubernetes Events (events.k8s.io/v1): what a person wants to know. A
 * repeated one is counted in a series instead of told again; an object that
 * has too much to tell is silenced for a while. Best effort: nobody waits for
 * an answer.
 */

#ifndef MC_KUBE_EVENT_H
#define MC_KUBE_EVENT_H

#include <stdbool.h>
#include "kube.h"

#define MC_KUBE_EVENTS_MAX  1000        /* waiting; more are dropped */

typedef struct mc_kube_events_s  mc_kube_events_t;

/* What an Event is about. */
typedef struct {
    const mc_kube_type_t  *type;
    const char            *ns;
    const char            *name;
    const char            *uid;
    const char            *version;     /* resourceVersion, "" unknown */
} mc_kube_regarding_t;

/* instance names this process: reportingInstance. NULL: no memory. */
mc_kube_events_t *mc_kube_events_create(mc_kube_t *kube, uv_loop_t *loop,
    const char *instance);

/* What waits is dropped. To be called before mc_kube_destroy(). */
void mc_kube_events_destroy(mc_kube_events_t *ev);

/* reason is CamelCase; note is cut at 1 KB. */
void mc_kube_events_post(mc_kube_events_t *ev,
    const mc_kube_regarding_t *about, bool warning, const char *reason,
    const char *note);

#endif
