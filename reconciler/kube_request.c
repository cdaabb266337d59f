/*
 * The usual requests.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kube.h"
#include "mc_json.h"


mc_kube_req_t *
mc_kube_get(mc_kube_t *kube, const mc_kube_type_t *type, const char *ns,
    const char *name, mc_kube_done_pt done, void *data)
{
    mc_kube_call_t  call = {
        .method = "GET", .type = type, .ns = ns, .name = name,
        .done = done, .data = data
    };

    return mc_kube_send(kube, &call);
}


mc_kube_req_t *
mc_kube_apply(mc_kube_t *kube, const mc_kube_type_t *type, const char *ns,
    const char *name, const char *subresource, const char *manager,
    const char *body, size_t len, mc_kube_done_pt done, void *data)
{
    char            query[160];
    mc_kube_call_t  call = {
        .method = "PATCH", .type = type, .ns = ns, .name = name,
        .subresource = subresource, .query = query,
        .content_type = "application/apply-patch+yaml",
        .body = body, .len = len, .done = done, .data = data
    };

    snprintf(query, sizeof(query), "fieldManager=%s&force=true", manager);
    return mc_kube_send(kube, &call);
}


mc_kube_req_t *
mc_kube_json_patch(mc_kube_t *kube, const mc_kube_type_t *type,
    const char *ns, const char *name, const char *subresource,
    const char *body, size_t len, mc_kube_done_pt done, void *data)
{
    mc_kube_call_t  call = {
        .method = "PATCH", .type = type, .ns = ns, .name = name,
        .subresource = subresource,
        .content_type = "application/json-patch+json",
        .body = body, .len = len, .done = done, .data = data
    };

    return mc_kube_send(kube, &call);
}


mc_kube_req_t *
mc_kube_delete(mc_kube_t *kube, const mc_kube_type_t *type, const char *ns,
    const char *name, const char *uid, int grace_s, mc_kube_done_pt done,
    void *data)
{
    char            body[512], id[128], grace[48] = "";
    mc_kube_call_t  call = {
        .method = "DELETE", .type = type, .ns = ns, .name = name,
        .content_type = "application/json", .body = body,
        .done = done, .data = data
    };

    if (mc_json_escape(id, sizeof(id), uid, strlen(uid)) >= sizeof(id)) {
        return NULL;
    }
    if (grace_s >= 0) {
        snprintf(grace, sizeof(grace), ",\"gracePeriodSeconds\":%d", grace_s);
    }
    call.len = (size_t) snprintf(body, sizeof(body),
        "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\","
        "\"preconditions\":{\"uid\":\"%s\"},"
        "\"propagationPolicy\":\"Background\"%s}", id, grace);
    return mc_kube_send(kube, &call);
}
