/*
 * What Podman's words mean. Its status codes say little (nearly everything is
 * 500), so that the text decides.
 */

#include <stdio.h>
#include <string.h>
#include "engine_podman_private.h"

typedef struct {
    const char  *text;                  /* part of Podman's message */
    const char  *reason;
    bool         retry;
} meaning_t;

/* The first that fits counts. */
static const meaning_t  meanings[] = {
    { "no space left on device", "DiskFull", true },
    { "disk quota exceeded", "DiskFull", true },
    { "address already in use", "PortInUse", true },
    { "image not known", "ImageMissing", false },
    { "no such image", "ImageMissing", false },
    { "invalid reference format", "ImageMissing", false },
    { "manifest unknown", "ImagePullFailed", false },
    { "unauthorized", "ImagePullFailed", true },
    { "initializing source", "ImagePullFailed", true },
    { "pinging container registry", "ImagePullFailed", true },
    { "reading manifest", "ImagePullFailed", true },
    { "short-name", "ImageMissing", false },
    { "no such secret", "SecretMissing", true },
    { "pod already exists", "AlreadyExists", true },
    { "cannot allocate memory", "OutOfMemory", true },
    { "OCI runtime", "StartFailed", true },
    { "starting container", "StartFailed", true }
};


void
podman_error(mc_engine_error_t *err, const char *reason, bool retry,
    const char *message)
{
    size_t  n;

    snprintf(err->reason, sizeof(err->reason), "%s", reason);
    snprintf(err->message, sizeof(err->message), "%s", message);
    err->retry = retry;
    /* cut in the middle of a character */
    n = strlen(err->message);
    while (n && !mc_utf8_valid(err->message, n)) {
        err->message[--n] = '\0';
    }
}

/* Without what says only where in Podman it went wrong. */
static const char *
core_of(const char *text)
{
    static const char  play[] = "playing YAML file: ";
    static const char  start[] = "starting container ";
    const char        *p;

    if (strncmp(text, play, sizeof(play) - 1) == 0) {
        text += sizeof(play) - 1;
    }
    if (strncmp(text, start, sizeof(start) - 1) == 0) {
        p = strstr(text, ": ");
        text = p ? p + 2 : text;
    }
    return text;
}

void
podman_text_error(mc_engine_error_t *err, const char *text)
{
    size_t  i;

    for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (strstr(text, meanings[i].text)) {
            podman_error(err, meanings[i].reason, meanings[i].retry,
                         core_of(text));
            return;
        }
    }
    podman_error(err, "EngineError", true, core_of(text));
}

static void
no_answer(mc_engine_error_t *err, const mc_http_reply_t *r)
{
    char  text[300];

    snprintf(text, sizeof(text), "Podman does not answer: %.250s", r->error);
    podman_error(err, "EngineUnavailable", true, text);
}

void
podman_reply_error(mc_engine_error_t *err, const mc_http_reply_t *r)
{
    mc_arena_t       *arena;
    mc_alloc_t        a;
    mc_json_error_t   jerr;
    mc_json_t        *v = NULL;
    char              text[64];

    if (r->status == 0) {
        no_answer(err, r);
        return;
    }
    arena = mc_arena_create();
    if (arena) {
        a = mc_arena_allocator(arena);
        v = mc_json_parse(&a, r->body, r->len, &jerr);
    }
    snprintf(text, sizeof(text), "Podman answers with status %ld", r->status);
    podman_text_error(err, mc_json_str(mc_json_get(v, "message"), text));
    mc_arena_destroy(arena);
}
