/*
 * Credentials: texts read from files, and texts from a plugin.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "kube_auth.h"
#include "kube_plugin.h"
#include "log.h"

#define REREAD_MS       60000
#define LEEWAY_MS       60000       /* before a plugin's token expires */
#define PLUGIN_MS       60000
#define RETRY_MS        5000        /* after a plugin that failed */
#define RENEW_EVERY_MS  1000        /* at most, however often we are refused */

/* All PEM but the token; NULL: none. */
typedef struct {
    char  *ca, *cert, *key, *token;
} texts_t;

struct mc_kube_auth_s {
    uv_loop_t           *loop;
    mc_kubeconfig_t     *cfg;
    uv_timer_t           reread;        /* files */
    uv_timer_t           rerun;         /* the plugin */
    uv_work_t            work;
    texts_t              read;          /* by the thread */
    char                 read_error[512];
    texts_t              files;         /* in force */
    texts_t              given;         /* by the plugin, before the files' */
    mc_kube_plugin_t    *plugin;        /* runs */
    bool                 working;       /* the thread reads */
    bool                 renewing;      /* somebody waits for it */
    bool                 has_given;
    bool                 destroyed;
    unsigned             handles;
    unsigned             version;
    unsigned             failures;      /* of the plugin, in a row */
    uint64_t             renewed_at;    /* loop time */
    char                 error[1024];
    void               (*changed)(void *data);
    void                *data;
};

static void plugin_start(mc_kube_auth_t *auth);


/* -- texts -- */

static void
text_free(char *s)
{
    if (s) {
        explicit_bzero(s, strlen(s));
        free(s);
    }
}

static void
texts_clear(texts_t *t)
{
    text_free(t->ca);
    text_free(t->cert);
    text_free(t->key);
    text_free(t->token);
    *t = (texts_t){ 0 };
}

static bool
same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* What cfg gives as text, else what its file says. 0 or -1. */
static int
text_read(char **dst, const char *text, const char *file, bool pem, char *err,
    size_t errlen)
{
    size_t  len;

    if (text) {
        *dst = strdup(text);
        if (*dst == NULL) {
            snprintf(err, errlen, "memory is out");
        }

    } else if (file) {
        *dst = mc_kubeconfig_read_file(file, &len, err, errlen);
        if (*dst && pem && strstr(*dst, "-----BEGIN ") == NULL) {
            snprintf(err, errlen, "%s: it is no PEM", file);
            return -1;
        }

    } else {
        return 0;
    }
    return *dst ? 0 : -1;
}

/* Any thread. 0, or -1 and a sentence. */
static int
texts_read(texts_t *t, const mc_kubeconfig_t *cfg, char *err, size_t errlen)
{
    if (text_read(&t->ca, cfg->ca, cfg->ca_file, true, err, errlen) != 0
        || text_read(&t->cert, cfg->cert, cfg->cert_file, true, err, errlen)
           != 0
        || text_read(&t->key, cfg->key, cfg->key_file, true, err, errlen) != 0
        || text_read(&t->token, cfg->token, cfg->token_file, false, err,
                     errlen) != 0)
    {
        texts_clear(t);
        return -1;
    }
    if (t->token) {
        t->token[strcspn(t->token, " \t\r\n")] = '\0';
        if (t->token[0] == '\0') {
            snprintf(err, errlen, "%.400s: the token is empty",
                     cfg->token_file ? cfg->token_file : "kubeconfig");
            texts_clear(t);
            return -1;
        }
    }
    return 0;
}


/* -- life -- */

static void
auth_free(mc_kube_auth_t *auth)
{
    texts_clear(&auth->files);
    texts_clear(&auth->given);
    texts_clear(&auth->read);
    mc_kubeconfig_free(auth->cfg);
    free(auth);
}

static void
auth_release(mc_kube_auth_t *auth)
{
    if (--auth->handles == 0) {
        auth_free(auth);
    }
}

static void
timer_closed(uv_handle_t *h)
{
    auth_release(h->data);
}

void
mc_kube_auth_destroy(mc_kube_auth_t *auth)
{
    if (auth == NULL || auth->destroyed) {
        return;
    }
    auth->destroyed = true;
    if (auth->plugin) {
        mc_kube_plugin_cancel(auth->plugin);
        auth->plugin = NULL;
    }
    uv_close((uv_handle_t *) &auth->reread, timer_closed);
    uv_close((uv_handle_t *) &auth->rerun, timer_closed);
}

static void
tell(mc_kube_auth_t *auth)
{
    auth->renewing = false;
    auth->changed(auth->data);
}


/* -- files -- */

static void
read_work(uv_work_t *w)
{
    mc_kube_auth_t  *auth = w->data;

    auth->read_error[0] = '\0';
    texts_read(&auth->read, auth->cfg, auth->read_error,
               sizeof(auth->read_error));
}

/* What cannot be read leaves the old ones in force. */
static void
read_done(uv_work_t *w, int status)
{
    mc_kube_auth_t  *auth = w->data;
    texts_t         *new = &auth->read, *old = &auth->files;
    bool             waited = auth->renewing && auth->cfg->exec == NULL;
    bool             other;

    auth->working = false;
    if (auth->destroyed || status != 0) {
        auth_release(auth);
        return;
    }
    auth_release(auth);
    if (auth->read_error[0]) {
        mc_log(MC_LOG_WARN, "credentials cannot be read again; the old ones "
               "are kept", "error", auth->read_error, NULL);
        if (waited) {
            tell(auth);
        }
        return;
    }
    other = !same(new->ca, old->ca) || !same(new->cert, old->cert)
            || !same(new->key, old->key) || !same(new->token, old->token);
    texts_clear(old);
    *old = *new;
    *new = (texts_t){ 0 };
    if (other) {
        auth->version++;
        mc_log(MC_LOG_INFO, "credentials have changed", NULL);
    }
    if (other || waited) {
        tell(auth);
    }
}

static bool
has_files(const mc_kubeconfig_t *c)
{
    return (c->ca_file && c->ca == NULL) || (c->cert_file && c->cert == NULL)
           || (c->key_file && c->key == NULL)
           || (c->token_file && c->token == NULL);
}

static void
read_again(mc_kube_auth_t *auth)
{
    if (auth->working) {
        return;
    }
    auth->work.data = auth;
    if (uv_queue_work(auth->loop, &auth->work, read_work, read_done) == 0) {
        auth->working = true;
        auth->handles++;
    }
}

static void
reread_cb(uv_timer_t *t)
{
    read_again(t->data);
}


/* -- the plugin -- */

static void
rerun_cb(uv_timer_t *t)
{
    plugin_start(t->data);
}

/* A minute before the end, or when half of a shorter life is over. */
static void
schedule(mc_kube_auth_t *auth, int64_t expires_ms)
{
    int64_t  left = expires_ms - mc_clock_wall_ms();

    if (expires_ms) {
        left = left > 2 * LEEWAY_MS ? left - LEEWAY_MS : left / 2;
        uv_timer_start(&auth->rerun, rerun_cb,
                       (uint64_t) (left > RETRY_MS ? left : RETRY_MS), 0);
    }
}

static void
plugin_failed(mc_kube_auth_t *auth, const char *error)
{
    snprintf(auth->error, sizeof(auth->error), "%s", error);
    mc_log(MC_LOG_WARN, "no fresh credentials", "error", error, NULL);
    uv_timer_start(&auth->rerun, rerun_cb, RETRY_MS << auth->failures, 0);
    auth->failures += auth->failures < 4;
}

static int
take(mc_kube_auth_t *auth, const mc_kube_credential_t *cred)
{
    texts_t  t = {
        .cert = cred->cert ? strdup(cred->cert) : NULL,
        .key = cred->key ? strdup(cred->key) : NULL,
        .token = cred->token ? strdup(cred->token) : NULL
    };

    if ((cred->cert && (t.cert == NULL || t.key == NULL))
        || (cred->token && t.token == NULL))
    {
        texts_clear(&t);
        return -1;
    }
    texts_clear(&auth->given);
    auth->given = t;
    return 0;
}

static void
plugin_done(void *data, const mc_kube_credential_t *cred, const char *error)
{
    mc_kube_auth_t  *auth = data;

    auth->plugin = NULL;
    if (cred == NULL || take(auth, cred) != 0) {
        plugin_failed(auth, cred ? "memory is out" : error);

    } else {
        auth->has_given = true;
        auth->error[0] = '\0';
        auth->failures = 0;
        auth->version++;
        schedule(auth, cred->expires_ms);
    }
    tell(auth);
}

static void
plugin_start(mc_kube_auth_t *auth)
{
    char  why[1024];

    if (auth->plugin) {
        return;
    }
    auth->plugin = mc_kube_plugin_run(auth->loop, auth->cfg, auth->files.ca,
                                      PLUGIN_MS, plugin_done, auth, why,
                                      sizeof(why));
    if (auth->plugin == NULL) {
        plugin_failed(auth, why);
    }
}


/* -- for the client -- */

mc_kube_auth_t *
mc_kube_auth_create(uv_loop_t *loop, mc_kubeconfig_t *cfg,
    void (*changed)(void *data), void *data, char *err, size_t errlen)
{
    mc_kube_auth_t  *auth = calloc(1, sizeof(*auth));

    if (auth == NULL) {
        snprintf(err, errlen, "memory is out");
        mc_kubeconfig_free(cfg);
        return NULL;
    }
    auth->loop = loop;
    auth->cfg = cfg;
    auth->changed = changed;
    auth->data = data;
    auth->version = 1;
    if (texts_read(&auth->files, cfg, err, errlen) != 0) {
        auth_free(auth);
        return NULL;
    }
    uv_timer_init(loop, &auth->reread);
    uv_timer_init(loop, &auth->rerun);
    auth->reread.data = auth->rerun.data = auth;
    auth->handles = 2;
    if (has_files(cfg)) {
        uv_timer_start(&auth->reread, reread_cb, REREAD_MS, REREAD_MS);
    }
    if (cfg->exec) {
        plugin_start(auth);
    }
    return auth;
}


mc_kube_auth_state_t
mc_kube_auth_state(const mc_kube_auth_t *auth)
{
    if (auth->cfg->exec == NULL || auth->has_given) {
        return MC_KUBE_AUTH_READY;
    }
    return auth->plugin ? MC_KUBE_AUTH_BUSY : MC_KUBE_AUTH_FAILED;
}


const char *
mc_kube_auth_error(const mc_kube_auth_t *auth)
{
    return auth->error;
}


unsigned
mc_kube_auth_version(const mc_kube_auth_t *auth)
{
    return auth->version;
}


const char *
mc_kube_auth_token(const mc_kube_auth_t *auth)
{
    return auth->has_given ? auth->given.token : auth->files.token;
}


void
mc_kube_auth_tls(const mc_kube_auth_t *auth, mc_http_tls_t *tls)
{
    const texts_t  *who = auth->has_given && auth->given.cert
                          ? &auth->given : &auth->files;

    *tls = (mc_http_tls_t){
        .ca = auth->files.ca, .cert = who->cert, .key = who->key
    };
    tls->ca_len = tls->ca ? strlen(tls->ca) : 0;
    tls->cert_len = tls->cert ? strlen(tls->cert) : 0;
    tls->key_len = tls->key ? strlen(tls->key) : 0;
}


bool
mc_kube_auth_renew(mc_kube_auth_t *auth, unsigned version)
{
    uint64_t  now = uv_now(auth->loop);

    if (auth->renewing) {
        return true;
    }
    if (version != auth->version
        || (auth->renewed_at && now < auth->renewed_at + RENEW_EVERY_MS))
    {
        return false;
    }
    auth->renewed_at = now;
    if (auth->cfg->exec) {
        plugin_start(auth);
        auth->renewing = auth->plugin != NULL;

    } else if (has_files(auth->cfg)) {
        read_again(auth);
        auth->renewing = auth->working;
    }
    return auth->renewing;
}
