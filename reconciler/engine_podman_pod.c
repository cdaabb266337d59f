/*
 * The pod: create, start, stop, remove.
 *
 * Creating is a chain: port of the volume, network, secret, image, play. Its
 * last step is the only one that starts anything, and Podman knows only one
 * pod of a name: however often this is cut short and begun anew, there are
 * never two on one world.
 */

#include <stdio.h>
#include <string.h>
#include "engine_podman_private.h"
#include "log.h"
#include "text.h"

#define PLAY_MS      120000
#define REMOVE_MS    120000
#define REST_MS      100            /* between looks at a pod that ends */
#define REST_TRIES   30
#define KILL_GRACE   10             /* of a pod removed while it runs */
#define PIDS_LIMIT   "4096"         /* processes and threads; Java needs 100s */

static void play(op_t *op, const mc_http_reply_t *r);
static void look_for_image(op_t *op, const mc_http_reply_t *r);

static bool
gone_or_done(const mc_http_reply_t *r)
{
    return r->status / 100 == 2 || r->status == 304 || r->status == 404;
}

/* The first of a list of texts, NULL when there is none. */
static const char *
first_error(const mc_json_t *list)
{
    return list && list->child ? mc_json_str(list->child, "unknown error")
                               : NULL;
}


/* -- what Podman 4.3 takes for no pod, but for what runs --
 *
 * A limit of processes: all servers run as one user, of whom one could take
 * every process that this machine has. And that pods are isolated. */

static void
on_limited(op_t *op, const mc_http_reply_t *r)
{
    mc_engine_error_t  err;

    if (r->status == 0) {
        podman_op_fail_reply(op, r);
        return;
    }
    if (r->status / 100 != 2) {         /* it may have ended already */
        podman_reply_error(&err, r);
        mc_log(MC_LOG_WARN, "the processes of a server cannot be limited",
               "server", op->server.id, "error", err.message, NULL);
    }
    podman_op_ok(op);
}

static void
confine(op_t *op)
{
    char  path[128];

    podman_isolate(op->podman);
    snprintf(path, sizeof(path), "/containers/%s-" MC_CONTAINER "/update",
             op->name);
    podman_op_send(op, on_limited, "POST", path, "application/json",
                   "{\"pids\":{\"limit\":" PIDS_LIMIT "}}");
}


/* -- a failed play -- */

static void
on_rest_removed(op_t *op, const mc_http_reply_t *r)
{
    (void) r;                           /* the first error counts */
    if (strstr(op->error.message, "network not found") && !op->again) {
        op->again = true;
        op->podman->network_there = false;
        podman_network(op, play);
        return;
    }
    podman_op_fail(op, &op->error);
}

/* Podman leaves the pod of a failed play behind. */
static void
play_failed(op_t *op)
{
    char  path[128];

    if (strcmp(op->error.reason, "AlreadyExists") == 0) {
        podman_op_fail(op, &op->error);
        return;
    }
    snprintf(path, sizeof(path), "/pods/%s?force=true", op->name);
    podman_op_send_slow(op, on_rest_removed, "DELETE", path, NULL, REMOVE_MS);
}

static void
on_played(op_t *op, const mc_http_reply_t *r)
{
    const mc_json_t  *pods;
    const char       *text;

    if (r->status == 0) {
        podman_op_fail_reply(op, r);    /* perhaps it runs: look again */
        return;
    }
    if (r->status != 200) {
        podman_reply_error(&op->error, r);
        play_failed(op);
        return;
    }
    pods = mc_json_get(podman_op_json(op, r), "Pods");
    text = pods && pods->child
           ? first_error(mc_json_get(pods->child, "ContainerErrors"))
           : "Podman's answer makes no sense";
    if (text) {
        podman_text_error(&op->error, text);
        play_failed(op);
        return;
    }
    confine(op);
}


/* -- play -- */

static void
add_document(mc_text_t *t, const mc_json_t *v)
{
    size_t   n;
    char    *buf;

    n = v ? mc_json_write(NULL, 0, v) : 0;
    buf = v ? t->a->alloc(t->a->pool, n + 1) : NULL;
    if (buf == NULL) {
        t->failed = true;
        return;
    }
    mc_json_write(buf, n + 1, v);
    mc_text_add(t, buf, n);
}

static void
play(op_t *op, const mc_http_reply_t *r)
{
    podman_t       *p = op->podman;
    mc_alloc_t      a = mc_arena_allocator(op->arena);
    mc_manifest_t   m = { .a = &a, .server = &op->server,
                          .demo_image = p->demo_image };
    mc_text_t       t = { .a = &a };
    const char     *body;
    char            path[128];

    (void) r;
    add_document(&t, mc_manifest_config_map(&m));
    mc_text_puts(&t, "\n---\n");
    add_document(&t, mc_manifest_podman_pod(&m, p->address, op->port));
    body = mc_text_end(&t);
    if (body == NULL) {
        podman_op_no_memory(op);
        return;
    }
    snprintf(path, sizeof(path), "/play/kube?start=true&network=%s",
             p->network);
    podman_op_send_slow(op, on_played, "POST", path, body, PLAY_MS);
}


/* -- the image -- */

static const char *
image_of(op_t *op, char buf[128])
{
    mc_alloc_t     a = mc_arena_allocator(op->arena);
    mc_manifest_t  m = { .a = &a, .server = &op->server,
                         .demo_image = op->podman->demo_image };

    return mc_manifest_image(&m, buf);
}

static const char *
pull_policy(const op_t *op)
{
    const mc_json_t  *sw = mc_json_get(op->server.spec, "software");
    const char       *type = mc_json_str(mc_json_get(sw, "type"), "");

    return mc_json_str(mc_json_get(sw, "imagePullPolicy"),
                       strcmp(type, "demo") == 0 ? "Never" : "IfNotPresent");
}

static void
image_missing(op_t *op, const char *reason, bool retry, const char *why)
{
    mc_engine_error_t  err;
    char               buf[128], text[380];

    snprintf(text, sizeof(text), "image %.150s: %.200s", image_of(op, buf),
             why);
    podman_error(&err, reason, retry, text);
    podman_op_fail(op, &err);
}

/* Errors of a pull come with status 200, as the last line of the answer. */
static void
on_pulled(op_t *op, const mc_http_reply_t *r)
{
    mc_engine_error_t   err;
    const char         *text;

    if (r->status == 0) {
        podman_op_fail_reply(op, r);
        return;
    }
    text = strstr(r->body, "\"error\":\"");
    if (r->status == 200 && text == NULL) {
        play(op, NULL);
        return;
    }
    if (text) {
        image_missing(op, "ImagePullFailed", true, text + 9);
        return;
    }
    podman_reply_error(&err, r);
    image_missing(op, "ImagePullFailed", true, err.message);
}

static void
pull(op_t *op)
{
    char  buf[128], escaped[800], path[900];

    mc_http_escape(escaped, sizeof(escaped), image_of(op, buf));
    snprintf(path, sizeof(path), "/images/pull?quiet=true&reference=%s",
             escaped);
    podman_op_send_slow(op, on_pulled, "POST", path, NULL, PODMAN_PULL_MS);
}

static void
on_image(op_t *op, const mc_http_reply_t *r)
{
    const char  *policy = pull_policy(op);

    if (r->status != 204 && r->status != 404) {
        podman_op_fail_reply(op, r);
    } else if (strcmp(policy, "Always") == 0) {
        pull(op);
    } else if (r->status == 204) {
        play(op, NULL);
    } else if (strcmp(policy, "Never") == 0) {
        image_missing(op, "ImageMissing", false,
                      "is not on this machine and must not be pulled");
    } else {
        pull(op);
    }
}

static void
look_for_image(op_t *op, const mc_http_reply_t *r)
{
    char  buf[128], escaped[800], path[900];

    (void) r;
    mc_http_escape(escaped, sizeof(escaped), image_of(op, buf));
    snprintf(path, sizeof(path), "/images/%s/exists", escaped);
    podman_op_send(op, on_image, "GET", path, NULL, NULL);
}


/* -- create -- */

/* The secret is made anew so that it fits the installation's even when that
 * was replaced. */
static void
renew_secret(op_t *op, const mc_http_reply_t *r)
{
    (void) r;
    podman_renew_secret(op, look_for_image);
}

static void
on_volume(op_t *op, const mc_http_reply_t *r)
{
    mc_engine_error_t  err;

    if (r->status == 404) {
        podman_error(&err, "StorageMissing", true, "the world's volume is "
                     "not there");
        podman_op_fail(op, &err);
        return;
    }
    if (r->status != 200) {
        podman_op_fail_reply(op, r);
        return;
    }
    op->port = podman_volume_port(podman_op_json(op, r));
    if (op->port == 0) {
        podman_error(&err, "StorageInvalid", false, "the world's volume has "
                     "no label " MC_LABEL_GAME_PORT);
        podman_op_fail(op, &err);
        return;
    }
    podman_network(op, renew_secret);
}

void
podman_create(mc_engine_t *e, const mc_server_t *s, mc_engine_done_pt cb,
    void *data)
{
    op_t  *op = podman_op(e, s, data);

    op->done = cb;
    podman_look_volume(op, on_volume);
}


/* -- a pod at rest --
 *
 * When a game ends, Podman ends its pod by itself, in a process of its own. To
 * start, stop or remove the pod at that moment can lock Podman 4.3 up, so that
 * these wait until it is through with it, within reason. */

static void
look_at_rest(op_t *op)
{
    char  path[128];

    snprintf(path, sizeof(path), "/pods/%s/json", op->name);
    podman_op_send(op, op->step_at_rest, "GET", path, NULL, NULL);
}

/* The answer says that the pod rests, or it is in vain to wait longer. */
static bool
rests(op_t *op, const mc_json_t *pod)
{
    const char  *state = mc_json_str(mc_json_get(pod, "State"), "");

    return (strcmp(state, "Running") != 0 && strcmp(state, "Degraded") != 0)
           || op->tries >= REST_TRIES;
}

static bool
game_runs(const mc_json_t *pod)
{
    const mc_json_t  *c = mc_json_get(pod, "Containers");
    const char       *name;

    for (c = c ? c->child : NULL; c; c = c->next) {
        name = mc_json_str(mc_json_get(c, "Name"), "");
        if (strstr(name, "-" MC_CONTAINER)
            && strcmp(mc_json_str(mc_json_get(c, "State"), ""),
                      "running") == 0)
        {
            return true;
        }
    }
    return false;
}

static void
rest_then(op_t *op, op_step_pt step)
{
    op->step_at_rest = step;
    op->tries = 0;
    look_at_rest(op);
}

static void
look_again(op_t *op)
{
    op->tries++;
    podman_op_later(op, REST_MS, look_at_rest);
}


/* -- start -- */

static void
on_started(op_t *op, const mc_http_reply_t *r)
{
    mc_engine_error_t   err;
    const char         *text;

    if (r->status == 304) {
        confine(op);
        return;
    }
    if (r->status != 200 && r->status != 409) {
        podman_op_fail_reply(op, r);
        return;
    }
    text = first_error(mc_json_get(podman_op_json(op, r), "Errs"));
    if (text) {
        podman_text_error(&err, text);
        podman_op_fail(op, &err);
    } else if (r->status == 409) {
        podman_op_fail_reply(op, r);
    } else {
        confine(op);
    }
}

static void
start_at_rest(op_t *op, const mc_http_reply_t *r)
{
    mc_json_t  *pod = r->status == 200 ? podman_op_json(op, r) : NULL;
    char        path[128];

    if (pod == NULL) {
        podman_op_fail_reply(op, r);

    } else if (game_runs(pod)) {
        confine(op);

    } else if (!rests(op, pod)) {
        look_again(op);

    } else {
        snprintf(path, sizeof(path), "/pods/%s/start", op->name);
        podman_op_send_slow(op, on_started, "POST", path, NULL, PLAY_MS);
    }
}

void
podman_start(mc_engine_t *e, const mc_server_t *s, mc_engine_done_pt cb,
    void *data)
{
    op_t  *op = podman_op(e, s, data);

    op->done = cb;
    rest_then(op, start_at_rest);
}


/* -- stop -- */

static void
on_pod_stopped(op_t *op, const mc_http_reply_t *r)
{
    if (gone_or_done(r)) {
        podman_op_ok(op);
    } else {
        podman_op_fail_reply(op, r);
    }
}

static void
stop_at_rest(op_t *op, const mc_http_reply_t *r)
{
    mc_json_t  *pod = r->status == 200 ? podman_op_json(op, r) : NULL;
    char        path[128];

    if (r->status == 404) {
        podman_op_ok(op);

    } else if (pod == NULL) {
        podman_op_fail_reply(op, r);

    } else if (!rests(op, pod)) {
        look_again(op);

    } else if (op->tries < REST_TRIES) {
        podman_op_ok(op);

    } else {
        snprintf(path, sizeof(path), "/pods/%s/stop?t=0", op->name);
        podman_op_send_slow(op, on_pod_stopped, "POST", path, NULL,
                            REMOVE_MS);
    }
}

static void
on_stopped(op_t *op, const mc_http_reply_t *r)
{
    if (gone_or_done(r)) {
        rest_then(op, stop_at_rest);
    } else {
        podman_op_fail_reply(op, r);
    }
}

/* First the game alone: stopping the pod would take its network away at once,
 * while it still saves and says goodbye to players. */
void
podman_stop(mc_engine_t *e, const mc_server_t *s, int grace,
    mc_engine_done_pt cb, void *data)
{
    op_t  *op = podman_op(e, s, data);
    char   path[160];

    op->done = cb;
    if (grace == 0) {
        /* a stop signals TERM before, and a game may hear it */
        snprintf(path, sizeof(path), "/containers/%s-" MC_CONTAINER
                 "/kill?signal=KILL", op->name);
    } else {
        snprintf(path, sizeof(path), "/containers/%s-" MC_CONTAINER
                 "/stop?t=%d", op->name, grace);
    }
    podman_op_send_slow(op, on_stopped, "POST", path, NULL,
                        (unsigned) grace * 1000 + REMOVE_MS);
}


/* -- remove -- */

static void
on_config_removed(op_t *op, const mc_http_reply_t *r)
{
    if (gone_or_done(r)) {
        podman_op_ok(op);
    } else {
        podman_op_fail_reply(op, r);
    }
}

static void
on_removed(op_t *op, const mc_http_reply_t *r)
{
    char  path[128];

    if (!gone_or_done(r)) {
        podman_op_fail_reply(op, r);
        return;
    }
    snprintf(path, sizeof(path), "/volumes/%s", op->config);
    podman_op_send(op, on_config_removed, "DELETE", path, NULL, NULL);
}

static void remove_at_rest(op_t *op, const mc_http_reply_t *r);

static void
on_killed(op_t *op, const mc_http_reply_t *r)
{
    if (gone_or_done(r)) {
        rest_then(op, remove_at_rest);
    } else {
        podman_op_fail_reply(op, r);
    }
}

static void
remove_at_rest(op_t *op, const mc_http_reply_t *r)
{
    mc_json_t  *pod = r->status == 200 ? podman_op_json(op, r) : NULL;
    char        path[160];

    if (r->status == 404) {
        on_removed(op, r);

    } else if (pod == NULL) {
        podman_op_fail_reply(op, r);

    } else if (game_runs(pod)) {
        snprintf(path, sizeof(path), "/containers/%s-" MC_CONTAINER
                 "/stop?t=%d", op->name, KILL_GRACE);
        podman_op_send_slow(op, on_killed, "POST", path, NULL, REMOVE_MS);

    } else if (!rests(op, pod)) {
        look_again(op);

    } else {
        snprintf(path, sizeof(path), "/pods/%s?force=true", op->name);
        podman_op_send_slow(op, on_removed, "DELETE", path, NULL, REMOVE_MS);
    }
}

void
podman_remove(mc_engine_t *e, const mc_server_t *s, mc_engine_done_pt cb,
    void *data)
{
    op_t  *op = podman_op(e, s, data);

    op->done = cb;
    rest_then(op, remove_at_rest);
}
