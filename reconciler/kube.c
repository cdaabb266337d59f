/*
 * The client of the Kubernetes API: requests wait for a token of the bucket,
 * for a place, for credentials, or for the time that the server asked for.
 */

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kube_auth.h"
#include "kube_private.h"
#include "kubeconfig.h"
#include "log.h"
#include "metrics.h"

#ifndef MCHOST_VERSION
#define MCHOST_VERSION  "dev"
#endif

#define IN_FLIGHT       32
#define MAX_WAITING     8192
#define MAX_STREAMS     16384
#define TIMEOUT_MS      30000
#define MAX_BODY        (4 * 1024 * 1024)
#define LONGEST_WAIT_S  5               /* of Retry-After, taken here */
#define TICK_MS         250             /* deadlines of those who wait */
#define WARNINGS        32              /* told once each */

typedef enum {
    WAITING,                            /* for its turn */
    AUTH,                               /* for fresh credentials */
    SENT
} state_t;

struct mc_kube_req_s {
    mc_kube_t        *kube;
    mc_kube_req_t    *prev, *next;
    state_t           state;
    mc_http_req_t    *http;             /* of one that is sent */
    bool              urgent;
    bool              renewed;          /* met a 401 already */
    bool              read;             /* a GET: may be sent again */
    unsigned          auth_version;     /* it was sent with */
    uint64_t          deadline;         /* loop time, 0: none */
    uint64_t          not_before;
    unsigned          timeout_ms;
    size_t            max_body;
    mc_kube_data_pt   on_data;
    mc_kube_done_pt   done;
    void             *data;
    const char       *method;           /* these are in text */
    const char       *path;
    const char       *content_type;
    const char       *body;             /* NULL: none */
    size_t            len;
    char              text[];
};

struct mc_kube_s {
    uv_loop_t       *loop;
    mc_http_t       *http;
    mc_kube_auth_t  *auth;
    unsigned         auth_version;      /* that http knows */
    uv_timer_t       turn;
    mc_kube_req_t   *first, *last;      /* oldest first */
    unsigned         waiting;           /* not sent */
    unsigned         in_flight;         /* neither streams nor urgent */
    double           tokens, qps, burst;
    uint64_t         filled;            /* loop time */
    bool             destroyed;
    bool             silent;            /* the last answer was none */
    uint64_t         warned[WARNINGS];  /* hashes */
    unsigned         warnings;
    char             host[280];
    char             ns[64];
};

static void schedule(mc_kube_t *kube);


/* -- life -- */

static void
turn_closed(uv_handle_t *h)
{
    free(h->data);
}

static void
req_unlink(mc_kube_req_t *req)
{
    mc_kube_t  *kube = req->kube;

    if (req->prev) {
        req->prev->next = req->next;
    } else {
        kube->first = req->next;
    }
    if (req->next) {
        req->next->prev = req->prev;
    } else {
        kube->last = req->prev;
    }
}

static void
req_leave(mc_kube_req_t *req)
{
    if (req->state != SENT) {
        req->kube->waiting--;

    } else if (!req->urgent && !req->on_data) {
        req->kube->in_flight--;
    }
}

static void
req_free(mc_kube_req_t *req)
{
    if (req->len) {
        explicit_bzero((char *) req->body, req->len);   /* Secrets */
    }
    free(req);
}

void
mc_kube_destroy(mc_kube_t *kube)
{
    mc_kube_req_t  *req;

    if (kube == NULL || kube->destroyed) {
        return;
    }
    kube->destroyed = true;
    mc_http_destroy(kube->http);
    while ((req = kube->first) != NULL) {
        req_unlink(req);
        req_free(req);
    }
    mc_kube_auth_destroy(kube->auth);
    uv_close((uv_handle_t *) &kube->turn, turn_closed);
}

void
mc_kube_cancel(mc_kube_req_t *req)
{
    mc_kube_t  *kube = req->kube;

    if (req->http) {
        mc_http_cancel(req->http);
    }
    req_leave(req);
    req_unlink(req);
    req_free(req);
    schedule(kube);
}


/* -- the end of a request -- */

/* The answer to whoever asked, and the end of it. */
static void
finish(mc_kube_req_t *req, const mc_kube_reply_t *reply)
{
    req_leave(req);
    req_unlink(req);
    req->done(req->data, reply);
    req_free(req);
}

static void
finish_unsent(mc_kube_req_t *req, mc_kube_result_t result, const char *why)
{
    mc_kube_reply_t  reply = {
        .result = result, .reason = "", .message = why, .field = "",
        .body = ""
    };

    finish(req, &reply);
}

static void
wait_again(mc_kube_req_t *req, state_t state, uint64_t not_before)
{
    req_leave(req);
    req->http = NULL;
    req->state = state;
    req->not_before = not_before;
    req->kube->waiting++;
}

/* Whether it is to be sent once more: with other credentials, or after the
 * time that the server asked for. */
static bool
again(mc_kube_req_t *req, const mc_kube_reply_t *r)
{
    mc_kube_t  *kube = req->kube;
    uint64_t    now = uv_now(kube->loop);

    if (r->result == MC_KUBE_UNAUTHORIZED && !req->renewed) {
        req->renewed = true;
        if (req->auth_version != mc_kube_auth_version(kube->auth)) {
            wait_again(req, WAITING, now);
            return true;
        }
        if (mc_kube_auth_renew(kube->auth, req->auth_version)) {
            wait_again(req, AUTH, now);
            return true;
        }
        return false;
    }
    if (req->read && r->retry_after_s > 0
        && r->retry_after_s <= LONGEST_WAIT_S
        && (r->status == 429 || r->status / 100 == 5))
    {
        now += (uint64_t) r->retry_after_s * 1000;
        if (req->deadline == 0 || now < req->deadline) {
            wait_again(req, WAITING, now);
            return true;
        }
    }
    return false;
}

/* What the server wants its clients to know, each once. */
static void
tell_warning(mc_kube_t *kube, const mc_kube_req_t *req, const char *text)
{
    uint64_t  hash = 14695981039346656037u;

    for (const char *s = text; *s; s++) {
        hash = (hash ^ (unsigned char) *s) * 1099511628211u;
    }
    for (unsigned i = 0; i < WARNINGS; i++) {
        if (kube->warned[i] == hash) {
            return;
        }
    }
    kube->warned[kube->warnings++ % WARNINGS] = hash;
    mc_log(MC_LOG_WARN, "the Kubernetes API warns", "warning", text, "path",
           req->path, NULL);
}

static void
on_done(void *data, const mc_http_reply_t *r)
{
    mc_kube_req_t    *req = data;
    mc_kube_t        *kube = req->kube;
    mc_arena_t       *arena = mc_arena_create();
    mc_kube_reply_t   reply;

    if (arena == NULL) {
        finish_unsent(req, MC_KUBE_UNAVAILABLE, "memory is out");
        return;
    }
    mc_kube_reply_read(&reply, r, kube->host, arena);
    kube->silent = reply.result == MC_KUBE_UNAVAILABLE
                   || reply.result == MC_KUBE_UNAUTHORIZED;
    if (r->warning[0]) {
        tell_warning(kube, req, r->warning);
    }
    if (!again(req, &reply)) {
        finish(req, &reply);
    }
    if (!kube->destroyed) {
        schedule(kube);
    }
    mc_arena_destroy(arena);
}

static int
on_data(void *data, const char *p, size_t len)
{
    mc_kube_req_t  *req = data;

    req->kube->silent = false;
    return req->on_data(req->data, p, len);
}


/* -- turns -- */

static void
fill(mc_kube_t *kube)
{
    uint64_t  now = uv_now(kube->loop);

    kube->tokens += (double) (now - kube->filled) * kube->qps / 1000;
    if (kube->tokens > kube->burst) {
        kube->tokens = kube->burst;
    }
    kube->filled = now;
}

static bool
has_turn(const mc_kube_t *kube, const mc_kube_req_t *req)
{
    if (req->state != WAITING || req->not_before > uv_now(kube->loop)) {
        return false;
    }
    return req->urgent
           || (kube->tokens >= 1
               && (req->on_data || kube->in_flight < IN_FLIGHT));
}

/* New credentials reach the connections made from now on. */
static int
sync_tls(mc_kube_t *kube)
{
    unsigned       version = mc_kube_auth_version(kube->auth);
    mc_http_tls_t  tls;

    if (kube->auth_version == version) {
        return 0;
    }
    mc_kube_auth_tls(kube->auth, &tls);
    if (mc_http_set_tls(kube->http, &tls) != 0) {
        return -1;
    }
    kube->auth_version = version;
    return 0;
}

static int
start(mc_kube_req_t *req)
{
    mc_kube_t       *kube = req->kube;
    mc_http_call_t   call = {
        .method = req->method, .path = req->path, .body = req->body,
        .body_len = req->len, .type = req->content_type,
        .accept = "application/json, */*",
        .bearer = mc_kube_auth_token(kube->auth),
        .timeout_ms = req->timeout_ms, .max_body = req->max_body,
        .slow = req->urgent,
        .on_data = req->on_data ? on_data : NULL, .on_done = on_done,
        .data = req
    };

    if (req->deadline) {
        call.timeout_ms = (unsigned) (req->deadline - uv_now(kube->loop));
    }
    if (sync_tls(kube) != 0) {
        return -1;
    }
    req->http = mc_http_send(kube->http, &call);
    if (req->http == NULL) {
        return -1;
    }
    req->auth_version = kube->auth_version;
    req->state = SENT;
    kube->waiting--;
    if (!req->urgent) {
        kube->tokens--;
        kube->in_flight += req->on_data == NULL;
    }
    return 0;
}

/* One that waits: sent when it has its turn, ended when it has none any more.
 * True when it was ended, and the list may be another one. */
static bool
look(mc_kube_req_t *req)
{
    mc_kube_t  *kube = req->kube;

    if (req->deadline && req->deadline <= uv_now(kube->loop)) {
        finish_unsent(req, MC_KUBE_UNAVAILABLE, "the request waited too long "
                      "for its turn");
        return true;
    }
    if (!has_turn(kube, req)) {
        return false;
    }
    switch (mc_kube_auth_state(kube->auth)) {
    case MC_KUBE_AUTH_BUSY:
        return false;
    case MC_KUBE_AUTH_FAILED:
        kube->silent = true;
        finish_unsent(req, MC_KUBE_UNAUTHORIZED,
                      mc_kube_auth_error(kube->auth));
        return true;
    default:
        break;
    }
    if (start(req) != 0) {
        finish_unsent(req, MC_KUBE_UNAVAILABLE, "memory is out");
        return true;
    }
    return false;
}

static void
advance(mc_kube_t *kube)
{
    mc_kube_req_t  *req;

    fill(kube);
restart:
    for (req = kube->first; req && kube->waiting; req = req->next) {
        if (req->state != SENT && look(req)) {
            if (kube->destroyed) {
                return;
            }
            goto restart;
        }
    }
    schedule(kube);
}

static void
turn_cb(uv_timer_t *t)
{
    advance(t->data);
}

/* When to look again. Callbacks may come of it, so never right now. */
static void
schedule(mc_kube_t *kube)
{
    uint64_t  ms = TICK_MS;

    if (kube->destroyed || kube->waiting == 0) {
        return;
    }
    for (mc_kube_req_t *req = kube->first; req; req = req->next) {
        if (has_turn(kube, req)
            && mc_kube_auth_state(kube->auth) != MC_KUBE_AUTH_BUSY)
        {
            ms = 0;
            break;
        }
    }
    if (ms && kube->tokens < 1) {
        ms = (uint64_t) ((1 - kube->tokens) * 1000 / kube->qps) + 1;
        ms = ms < TICK_MS ? ms : TICK_MS;
    }
    uv_timer_start(&kube->turn, turn_cb, ms, 0);
}

static void
auth_changed(void *data)
{
    mc_kube_t  *kube = data;

    for (mc_kube_req_t *req = kube->first; req; req = req->next) {
        if (req->state == AUTH) {
            /* if there are no fresh ones, the next 401 is the answer */
            req->state = WAITING;
        }
    }
    schedule(kube);
}


/* -- for the operator -- */

static const char *
put(char **at, const char *s)
{
    char  *p = *at;

    *at = stpcpy(p, s) + 1;
    return p;
}

static mc_kube_req_t *
req_create(mc_kube_t *kube, const mc_kube_call_t *call)
{
    const char     *type = call->content_type ? call->content_type : "";
    size_t          path = mc_kube_path(NULL, 0, call) + 1;
    size_t          size = strlen(call->method) + strlen(type) + 2 + path
                           + call->len + 1;
    mc_kube_req_t  *req = calloc(1, sizeof(*req) + size);
    char           *at;

    if (req == NULL) {
        return NULL;
    }
    at = req->text;
    req->method = put(&at, call->method);
    req->content_type = *type ? put(&at, type) : NULL;
    mc_kube_path(at, path, call);
    req->path = at;
    at += path;
    if (call->body) {
        memcpy(at, call->body, call->len);
        req->body = at;
        req->len = call->len;
    }
    req->kube = kube;
    req->urgent = call->urgent;
    req->read = strcmp(call->method, "GET") == 0;
    req->max_body = call->max_body ? call->max_body : MAX_BODY;
    req->timeout_ms = call->timeout_ms || call->on_data ? call->timeout_ms
                                                        : TIMEOUT_MS;
    req->on_data = call->on_data;
    req->done = call->done;
    req->data = call->data;
    return req;
}

mc_kube_req_t *
mc_kube_send(mc_kube_t *kube, const mc_kube_call_t *call)
{
    mc_kube_req_t  *req;

    if (kube->destroyed || (kube->waiting >= MAX_WAITING && !call->urgent)) {
        return NULL;
    }
    req = req_create(kube, call);
    if (req == NULL) {
        return NULL;
    }
    if (req->timeout_ms) {
        req->deadline = uv_now(kube->loop) + req->timeout_ms;
    }
    req->prev = kube->last;
    if (kube->last) {
        kube->last->next = req;
    } else {
        kube->first = req;
    }
    kube->last = req;
    kube->waiting++;
    uv_timer_start(&kube->turn, turn_cb, 0, 0);
    return req;
}


bool
mc_kube_ready(const mc_kube_t *kube)
{
    return !kube->silent;
}


const char *
mc_kube_own_namespace(const mc_kube_t *kube)
{
    return kube->ns;
}


int
mc_kube_prepare(mc_kube_t *kube, void *easy, const char *path,
    struct curl_slist **headers)
{
    const char         *token = mc_kube_auth_token(kube->auth);
    struct curl_slist  *longer;
    char               *line;

    if (mc_kube_auth_state(kube->auth) != MC_KUBE_AUTH_READY
        || sync_tls(kube) != 0
        || mc_http_setup(kube->http, easy, path, headers) != 0)
    {
        return -1;
    }
    if (token == NULL) {
        return 0;
    }
    if (asprintf(&line, "Authorization: Bearer %s", token) < 0) {
        return -1;
    }
    longer = curl_slist_append(*headers, line);
    explicit_bzero(line, strlen(line));
    free(line);
    if (longer == NULL) {
        return -1;
    }
    *headers = longer;
    return 0;
}


/* -- creation -- */

static mc_http_t *
http_create(uv_loop_t *loop, const mc_kubeconfig_t *cfg)
{
    char            base[1024];
    const char     *port = strrchr(cfg->host, ':');
    mc_http_conf_t  http = {
        .base = base, .proxy = cfg->proxy,
        .user_agent = "mchost-reconciler/" MCHOST_VERSION,
        .parallel = IN_FLIGHT, .queue = IN_FLIGHT, .streams = MAX_STREAMS
    };

    if (cfg->server_name) {
        /* the name in the URL is the one in the certificate */
        http.connect_to = cfg->host;
        http.host = cfg->host;
        snprintf(base, sizeof(base), "https://%s%s%s", cfg->server_name, port,
                 cfg->path);
    } else {
        snprintf(base, sizeof(base), "https://%s%s", cfg->host, cfg->path);
    }
    return mc_http_create(loop, &http);
}

mc_kube_t *
mc_kube_create(uv_loop_t *loop, const mc_kube_conf_t *conf, char *err,
    size_t errlen)
{
    mc_kubeconfig_t  *cfg = mc_kubeconfig_find(conf->kubeconfig, conf->context,
                                               err, errlen);
    mc_kube_t        *kube = cfg ? calloc(1, sizeof(*kube)) : NULL;

    if (kube == NULL || (kube->http = http_create(loop, cfg)) == NULL) {
        if (cfg) {
            snprintf(err, errlen, "memory is out");
        }
        mc_kubeconfig_free(cfg);
        free(kube);
        return NULL;
    }
    kube->loop = loop;
    kube->qps = conf->qps ? conf->qps : 50;
    kube->burst = conf->burst ? conf->burst : 100;
    kube->tokens = kube->burst;
    kube->filled = uv_now(loop);
    snprintf(kube->host, sizeof(kube->host), "%s", cfg->host);
    snprintf(kube->ns, sizeof(kube->ns), "%s", cfg->ns);
    kube->auth = mc_kube_auth_create(loop, cfg, auth_changed, kube, err,
                                     errlen);
    if (kube->auth == NULL) {
        mc_http_destroy(kube->http);
        free(kube);
        return NULL;
    }
    uv_timer_init(loop, &kube->turn);
    kube->turn.data = kube;
    snprintf(mc_metrics.host, sizeof(mc_metrics.host), "%s", kube->host);
    return kube;
}
