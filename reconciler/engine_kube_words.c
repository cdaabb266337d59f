/*
 * What the cluster says is wrong, in words for a person. Pure.
 */

#include <stdio.h>
#include <string.h>
#include "engine_kube_private.h"

#define TROUBLE(where, r, ...)                                               \
    do {                                                                     \
        snprintf((where).reason, sizeof((where).reason), "%s", r);           \
        snprintf((where).message, sizeof((where).message), __VA_ARGS__);     \
    } while (0)


/* -- answers -- */

/* The text between two marks, "" when they are not there. */
static void
between(const char *text, const char *left, const char *right, char *dst,
    size_t size)
{
    const char  *p = strstr(text, left), *end;

    dst[0] = '\0';
    if (p) {
        p += strlen(left);
        end = strstr(p, right);
        if (end && (size_t) (end - p) < size) {
            memcpy(dst, p, (size_t) (end - p));
            dst[end - p] = '\0';
        }
    }
}


/* `… User "x" cannot patch resource "statefulsets" in API group "apps" in the
 * namespace "y"`: the words in which a Role would grant it. */
static bool
missing_right(const char *text, char *dst, size_t size)
{
    char  verb[32], resource[64], group[64], ns[64];

    between(text, "cannot ", " resource ", verb, sizeof(verb));
    between(text, " resource \"", "\"", resource, sizeof(resource));
    between(text, "API group \"", "\"", group, sizeof(group));
    between(text, "namespace \"", "\"", ns, sizeof(ns));
    if (verb[0] == '\0' || resource[0] == '\0') {
        return false;
    }
    snprintf(dst, size, "the reconciler lacks a right in Kubernetes: verb "
             "\"%s\" on resource \"%s\" of API group \"%s\"%s%s", verb,
             resource, group, ns[0] ? " in namespace " : "", ns);
    return true;
}


static void
forbidden(mc_engine_error_t *err, const char *text)
{
    err->retry = false;
    if (strstr(text, "exceeded quota")) {
        snprintf(err->reason, sizeof(err->reason), "QuotaExceeded");
        snprintf(err->message, sizeof(err->message), "the namespace's quota "
                 "does not allow it: %.300s", strstr(text, "exceeded quota"));
    } else if (strstr(text, "being terminated")) {
        snprintf(err->reason, sizeof(err->reason), "NamespaceTerminating");
        snprintf(err->message, sizeof(err->message),
                 "the namespace is being deleted");
        err->retry = true;
    } else {
        snprintf(err->reason, sizeof(err->reason), "Forbidden");
        if (!missing_right(text, err->message, sizeof(err->message))) {
            snprintf(err->message, sizeof(err->message),
                     "Kubernetes does not allow it: %.360s", text);
        }
    }
}


void
kube_reply_error(mc_engine_error_t *err, const mc_kube_reply_t *r)
{
    const char  *reason = "EngineError";

    memset(err, 0, sizeof(*err));
    err->retry = true;
    snprintf(err->message, sizeof(err->message), "%s%s%s", r->message,
             r->field[0] ? ": " : "", r->field);

    switch (r->result) {
    case MC_KUBE_OK:
        reason = "EngineAnswer";
        snprintf(err->message, sizeof(err->message),
                 "Kubernetes gave an answer that cannot be understood");
        break;
    case MC_KUBE_NOT_FOUND:
        reason = "NotFound";
        break;
    case MC_KUBE_ALREADY_EXISTS:
    case MC_KUBE_CONFLICT:
    case MC_KUBE_GONE:
        reason = "Conflict";
        break;
    case MC_KUBE_FORBIDDEN:
        forbidden(err, r->message);
        return;
    case MC_KUBE_UNAUTHORIZED:
        reason = "Unauthorized";
        snprintf(err->message, sizeof(err->message),
                 "Kubernetes does not accept the reconciler's credentials");
        break;
    case MC_KUBE_INVALID:
        reason = "Invalid";
        err->retry = false;
        break;
    case MC_KUBE_THROTTLED:
        reason = "EngineBusy";
        break;
    case MC_KUBE_UNAVAILABLE:
        reason = "EngineUnavailable";
        break;
    }
    snprintf(err->reason, sizeof(err->reason), "%s", reason);
}


/* -- pods -- */

static bool
one_of(const char *s, const char *const *list)
{
    for (; *list; list++) {
        if (strcmp(s, *list) == 0) {
            return true;
        }
    }
    return false;
}


static void
ended(mc_observed_t *obs, const mc_kube_pod_t *pod, const mc_server_t *s)
{
    if (pod->oom_killed) {
        TROUBLE(obs->trouble, "OOMKilled", "the server was killed because it "
                "needed more memory than the %s it has (exit code %d)",
                mc_json_str(mc_json_at(s->spec, "resources.memory"), "2Gi"),
                pod->exit_code);
    } else {
        TROUBLE(obs->trouble, "CrashLoopBackOff", "the server ended with exit "
                "code %d%s", pod->exit_code, pod->restarts > 1
                ? ", several times in a row" : "");
    }
}


/* Why a container cannot start yet. A missing image may still be loaded, a
 * missing ConfigMap is made by the next step: the kubelet tries again. */
static void
waiting(mc_observed_t *obs, const char *who, const char *reason,
    const char *message)
{
    static const char *const  pull[] = { "ErrImagePull", "ImagePullBackOff",
        "RegistryUnavailable", "ErrImageNeverPull", NULL };
    static const char *const  create[] = { "CreateContainerConfigError",
        "CreateContainerError", "RunContainerError",
        "PreStartHookError", "PostStartHookError", NULL };

    if (strcmp(reason, "InvalidImageName") == 0) {
        TROUBLE(obs->trouble, "InvalidImageName", "%s's image has no valid "
                "name: %.300s", who, message);
    } else if (strcmp(reason, "ErrImageNeverPull") == 0) {
        TROUBLE(obs->trouble, "ImageMissing", "%s's image is not on the node, "
                "and it is not to be pulled: %.280s", who, message);
    } else if (one_of(reason, pull)) {
        TROUBLE(obs->trouble, "ImagePullFailed", "%s's image cannot be pulled: "
                "%.320s", who, message);
    } else if (one_of(reason, create)) {
        TROUBLE(obs->trouble, "CannotStart", "%s cannot be started: %.340s",
                who, message);
    }
}


static void
init_trouble(mc_observed_t *obs, const mc_kube_pod_t *pod)
{
    char  who[64];

    snprintf(who, sizeof(who), "the step \"%.40s\"", pod->init_name);
    waiting(obs, who, pod->init_reason, pod->init_message);
    if (obs->trouble.reason[0] == '\0' && pod->init_reason[0] != '\0'
        && strcmp(pod->init_reason, "PodInitializing") != 0
        && strcmp(pod->init_reason, "ContainerCreating") != 0)
    {
        TROUBLE(obs->trouble, strcmp(pod->init_name, MC_ADDONS_CONTAINER) == 0
                ? "AddonsFailed" : "InitFailed", "%s before the server's start "
                "failed%s%.300s", who, pod->init_message[0] ? ": " : "",
                pod->init_message);
    }
}


void
kube_pod_trouble(mc_observed_t *obs, const mc_kube_pod_t *pod,
    const mc_server_t *s)
{
    if (strcmp(pod->phase, "Failed") == 0) {
        TROUBLE(obs->trouble, pod->reason[0] ? pod->reason : "PodFailed",
                "the pod was ended by its node: %.340s", pod->message[0]
                ? pod->message : pod->reason);
    } else if (!pod->scheduled && pod->unscheduled_message[0]) {
        TROUBLE(obs->trouble, "Unschedulable", "no node can take the server: "
                "%.360s", pod->unscheduled_message);
    } else if (pod->init_name[0]) {
        init_trouble(obs, pod);
    } else if (pod->waiting_reason[0]) {
        waiting(obs, "the server", pod->waiting_reason, pod->waiting_message);
    }
    if (obs->trouble.reason[0] == '\0' && !pod->running && pod->terminated) {
        ended(obs, pod, s);
    }
    if (obs->trouble.reason[0] == '\0' && pod->resize_reason[0]) {
        TROUBLE(obs->trouble, "ResizePending", "the CPU cannot be changed %s: "
                "%.340s", strcmp(pod->resize_reason, "Infeasible") == 0
                ? "on this node" : "now", pod->resize_message);
    }
}


/* Many a class gives a volume only once there is a pod that waits for it. */
void
kube_claim_trouble(mc_observed_t *obs, const kube_value_t *v, bool waited_for)
{
    const mc_kube_claim_t  *claim = &v->obj->claim;

    if (v->obj->meta.deleting) {
        TROUBLE(obs->storage_trouble, "VolumeDeleting",
                "the world's volume is being deleted");
    } else if (strcmp(claim->phase, "Lost") == 0) {
        TROUBLE(obs->storage_trouble, "VolumeLost", "the volume behind the "
                "world's claim is gone");
    } else if (strcmp(claim->phase, "Pending") == 0 && waited_for) {
        TROUBLE(obs->storage_trouble, "VolumePending", "no volume was given to "
                "the world's claim yet (storage class \"%.100s\")",
                claim->storage_class[0] ? claim->storage_class : "none");
    } else if (v->refused[0]) {
        TROUBLE(obs->storage_trouble, "CannotGrow", "%s", v->refused);
    } else if (claim->resize_reason[0]) {
        TROUBLE(obs->storage_trouble, claim->resize_reason,
                "the world's volume is growing: %.340s",
                claim->resize_message[0] ? claim->resize_message
                                         : claim->resize_reason);
    }
}


void
kube_event_trouble(mc_observed_t *obs, const char *reason,
    const char *message)
{
    mc_engine_error_t  err = { 0 };

    if (strstr(message, "is forbidden")) {
        forbidden(&err, message);
        TROUBLE(obs->trouble, err.reason, "no pod can be made: %.360s",
                err.message);
    } else if (strcmp(reason, "FailedCreate") == 0) {
        TROUBLE(obs->trouble, "CannotCreatePod", "no pod can be made: %.360s",
                message);
    } else if (strcmp(reason, "FailedMount") == 0
               || strcmp(reason, "FailedAttachVolume") == 0)
    {
        TROUBLE(obs->trouble, "VolumeNotMounted", "the pod's volumes are not "
                "there yet: %.340s", message);
    } else if (strcmp(reason, "FailedCreatePodSandBox") == 0) {
        TROUBLE(obs->trouble, "CannotStart", "the node cannot make the pod: "
                "%.360s", message);
    }
}


bool
kube_events_tell(const mc_alloc_t *a, const char *text, size_t len,
    char *reason, size_t reason_size, char *message, size_t message_size)
{
    mc_json_error_t   err;
    const mc_json_t  *v = mc_json_parse(a, text, len, &err);
    const mc_json_t  *found = NULL;
    const char       *time, *newest = "";

    v = mc_json_get(v, "items");
    for (v = v ? v->child : NULL; v; v = v->next) {
        if (strcmp(mc_json_str(mc_json_get(v, "type"), ""), "Warning") != 0) {
            continue;
        }
        time = mc_json_str(mc_json_at(v, "series.lastObservedTime"), NULL);
        if (time == NULL) {
            time = mc_json_str(mc_json_get(v, "deprecatedLastTimestamp"), NULL);
        }
        if (time == NULL) {
            time = mc_json_str(mc_json_get(v, "eventTime"), "");
        }
        if (found == NULL || strcmp(time, newest) >= 0) {
            found = v;
            newest = time;
        }
    }
    if (found == NULL) {
        return false;
    }
    snprintf(reason, reason_size, "%s",
             mc_json_str(mc_json_get(found, "reason"), "Warning"));
    snprintf(message, message_size, "%s",
             mc_json_str(mc_json_get(found, "note"), ""));
    return true;
}
