/*
 * Answers of the API: HTTP status codes and the Status objects that say more.
 * Pure.
 */

#include <stdio.h>
#include <string.h>
#include "kube_private.h"
#include "mc_json.h"

#define MAX_MESSAGE  512


static mc_kube_result_t
result(long status, const char *reason)
{
    if (status / 100 == 2) {
        return MC_KUBE_OK;
    }
    switch (status) {
    case 401:
        return MC_KUBE_UNAUTHORIZED;
    case 403:
        return MC_KUBE_FORBIDDEN;
    case 404:
        return MC_KUBE_NOT_FOUND;
    case 409:
        return strcmp(reason, "AlreadyExists") == 0 ? MC_KUBE_ALREADY_EXISTS
                                                    : MC_KUBE_CONFLICT;
    case 410:
        return MC_KUBE_GONE;
    case 429:
        return MC_KUBE_THROTTLED;
    case 408:
        return MC_KUBE_UNAVAILABLE;
    default:
        return status / 100 == 3 || status / 100 == 4 ? MC_KUBE_INVALID
                                                      : MC_KUBE_UNAVAILABLE;
    }
}


/* A Status: {"kind":"Status","reason","message","details":{"causes":[…],
 * "retryAfterSeconds"},"code"}. */
static void
read_status(mc_kube_reply_t *out, const mc_json_t *doc)
{
    const mc_json_t  *details = mc_json_get(doc, "details"), *causes, *c;
    int64_t           wait;

    out->reason = mc_json_str(mc_json_get(doc, "reason"), "");
    out->message = mc_json_str(mc_json_get(doc, "message"), "");
    causes = mc_json_get(details, "causes");
    for (c = causes ? causes->child : NULL; c; c = c->next) {
        if (out->field[0] == '\0') {
            out->field = mc_json_str(mc_json_get(c, "field"), "");
        }
        /* what the server of a replica that is behind says, under a reason
         * that says less */
        if (strcmp(mc_json_str(mc_json_get(c, "reason"), ""),
                   "ResourceVersionTooLarge") == 0)
        {
            out->reason = "ResourceVersionTooLarge";
        }
    }
    wait = mc_json_int(mc_json_get(details, "retryAfterSeconds"), 0);
    if (out->retry_after_s == 0 && wait > 0) {
        out->retry_after_s = wait > 86400 ? 86400 : (int) wait;
    }
}


/* The first line of an answer that is no Status: a proxy's, or plain text. */
static const char *
plain(const mc_http_reply_t *r, const char *host, mc_arena_t *arena)
{
    char  *p = mc_arena_alloc(arena, MAX_MESSAGE);
    int    n;

    if (p == NULL) {
        return "memory is out";
    }
    n = snprintf(p, MAX_MESSAGE, "%s answers %ld", host, r->status);
    if (r->len && r->body[0] != '<') {
        snprintf(p + n, MAX_MESSAGE - (size_t) n, ": %.*s",
                 (int) strcspn(r->body, "\r\n"), r->body);
    }
    return p;
}


static const char *
no_answer(const mc_http_reply_t *r, const char *host, mc_arena_t *arena)
{
    char  *p = mc_arena_alloc(arena, MAX_MESSAGE);

    if (p == NULL) {
        return "memory is out";
    }
    snprintf(p, MAX_MESSAGE, "no answer from the Kubernetes API at %s: %s",
             host, r->error);
    return p;
}


void
mc_kube_reply_read(mc_kube_reply_t *out, const mc_http_reply_t *r,
    const char *host, mc_arena_t *arena)
{
    mc_alloc_t        a = mc_arena_allocator(arena);
    mc_json_error_t   err;
    mc_json_t        *doc = NULL;

    *out = (mc_kube_reply_t){
        .status = r->status, .reason = "", .message = "", .field = "",
        .retry_after_s = r->retry_after_s, .body = r->body, .len = r->len
    };
    if (r->status == 0) {
        out->message = no_answer(r, host, arena);

    } else if (r->status / 100 != 2) {
        if (r->len && r->body[0] == '{') {
            doc = mc_json_parse(&a, r->body, r->len, &err);
        }
        if (doc && strcmp(mc_json_str(mc_json_get(doc, "kind"), ""), "Status")
                   == 0)
        {
            read_status(out, doc);
        }
        if (out->message[0] == '\0') {
            out->message = plain(r, host, arena);
        }
        out->body = "";
        out->len = 0;
    }
    out->result = result(r->status, out->reason);
    if (out->result == MC_KUBE_INVALID
        && strcmp(out->field, "metadata.uid") == 0)
    {
        /* an apply with the uid of one that has been replaced meanwhile */
        out->result = MC_KUBE_CONFLICT;
    }
}
