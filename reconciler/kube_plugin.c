/*
 * One run of an exec plugin. It is over when the program has ended and both
 * of its outputs are closed, or when its time is up.
 */

#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "arena.h"
#include "clock.h"
#include "kube_plugin.h"
#include "mc_json.h"

#define MAX_OUTPUT  (256 * 1024)
#define MAX_SAID    1024            /* of what it writes to stderr */
#define INFO        "KUBERNETES_EXEC_INFO"

extern char  **environ;

typedef struct {
    uv_pipe_t          pipe;
    mc_kube_plugin_t  *plugin;
    char              *bytes;
    size_t             len, size;
    bool               overflow;
    bool               open;
} output_t;

struct mc_kube_plugin_s {
    uv_process_t            process;
    uv_timer_t              timer;
    output_t                out, said;
    unsigned                handles;    /* not yet closed */
    bool                    running;
    bool                    timeout;
    bool                    over;
    int64_t                 code;
    int                     sig;
    unsigned                timeout_ms;
    const mc_kubeconfig_t  *cfg;
    mc_kube_plugin_pt       done;
    void                   *data;
};


/* -- what it prints -- */

int
mc_kube_plugin_parse(mc_arena_t *arena, const char *api_version,
    const char *text, size_t len, mc_kube_credential_t *cred, char *err,
    size_t errlen)
{
    mc_alloc_t        a = mc_arena_allocator(arena);
    mc_json_error_t   where;
    mc_json_t        *doc = mc_json_parse(&a, text, len, &where), *st;
    const char       *expires;
    int64_t           ns;

    *cred = (mc_kube_credential_t){ 0 };
    if (doc == NULL) {
        snprintf(err, errlen, "it printed no JSON: %s", where.message);
        return -1;
    }
    if (strcmp(mc_json_str(mc_json_get(doc, "kind"), ""), "ExecCredential") != 0
        || strcmp(mc_json_str(mc_json_get(doc, "apiVersion"), ""), api_version)
           != 0)
    {
        snprintf(err, errlen, "it printed no ExecCredential of %s",
                 api_version);
        return -1;
    }
    st = mc_json_get(doc, "status");
    cred->token = mc_json_str(mc_json_get(st, "token"), NULL);
    cred->cert = mc_json_str(mc_json_get(st, "clientCertificateData"), NULL);
    cred->key = mc_json_str(mc_json_get(st, "clientKeyData"), NULL);
    if ((cred->cert == NULL) != (cred->key == NULL)
        || (cred->token == NULL && cred->cert == NULL)
        || (cred->token && strpbrk(cred->token, "\r\n")))
    {
        snprintf(err, errlen, "its status has neither a token nor a client "
                 "certificate with its key");
        return -1;
    }
    expires = mc_json_str(mc_json_get(st, "expirationTimestamp"), NULL);
    if (expires) {
        ns = mc_time_parse_ns(expires);
        if (ns < 0) {
            snprintf(err, errlen, "its expirationTimestamp is no time");
            return -1;
        }
        cred->expires_ms = ns / 1000000;
    }
    return 0;
}


/* -- the end -- */

static void
handle_closed(uv_handle_t *h)
{
    mc_kube_plugin_t  *p = h->data;

    if (--p->handles == 0) {
        if (p->out.bytes) {
            explicit_bzero(p->out.bytes, p->out.size);
        }
        free(p->out.bytes);
        free(p->said.bytes);
        free(p);
    }
}

static void
output_close(output_t *o)
{
    if (o->open) {
        o->open = false;
        uv_close((uv_handle_t *) &o->pipe, handle_closed);
    }
}

/* Takes its handles down. The process may live on: it is killed with what it
 * started, and waited for. */
static void
plugin_end(mc_kube_plugin_t *p)
{
    p->over = true;
    if (p->running) {
        kill(-p->process.pid, SIGKILL);
    }
    output_close(&p->out);
    output_close(&p->said);
    uv_close((uv_handle_t *) &p->timer, handle_closed);
    if (!p->running && p->process.loop) {
        uv_close((uv_handle_t *) &p->process, handle_closed);
    }
}

/* The last line it wrote to stderr, for a person. */
static const char *
last_words(output_t *o)
{
    char  *nl;

    while (o->len && (o->bytes[o->len - 1] == '\n'
                      || o->bytes[o->len - 1] == '\r'))
    {
        o->len--;
    }
    if (o->len == 0) {
        return "";
    }
    o->bytes[o->len] = '\0';
    nl = strrchr(o->bytes, '\n');
    return nl ? nl + 1 : o->bytes;
}

static void
plugin_tell(mc_kube_plugin_t *p)
{
    mc_kube_credential_t   cred, *got = NULL;
    mc_arena_t            *arena = mc_arena_create();
    const char            *said = last_words(&p->said);
    char                   why[512] = "memory is out", text[1024];

    if (p->timeout) {
        snprintf(why, sizeof(why), "it took longer than %.1f s",
                 p->timeout_ms / 1000.0);

    } else if (p->sig) {
        snprintf(why, sizeof(why), "it ended by signal %d", p->sig);

    } else if (p->code) {
        snprintf(why, sizeof(why), "it ended with code %lld",
                 (long long) p->code);

    } else if (p->out.overflow) {
        snprintf(why, sizeof(why), "it printed more than %d bytes",
                 MAX_OUTPUT);

    } else if (arena
               && mc_kube_plugin_parse(arena, p->cfg->exec->api_version,
                                       p->out.bytes ? p->out.bytes : "",
                                       p->out.len, &cred, why, sizeof(why))
                  == 0)
    {
        got = &cred;
    }
    snprintf(text, sizeof(text), "the credential plugin \"%.200s\" failed: "
             "%s%s%.300s", p->cfg->exec->argv[0], why, *said ? ": " : "", said);
    plugin_end(p);
    p->done(p->data, got, got ? "" : text);
    mc_arena_destroy(arena);
}

static void
plugin_look(mc_kube_plugin_t *p)
{
    if (!p->over && !p->running && !p->out.open && !p->said.open) {
        plugin_tell(p);
    }
}


/* -- the run -- */

static void
exited(uv_process_t *process, int64_t code, int sig)
{
    mc_kube_plugin_t  *p = process->data;

    p->running = false;
    p->code = code;
    p->sig = sig;
    if (p->over) {
        uv_close((uv_handle_t *) process, handle_closed);
    } else {
        plugin_look(p);
    }
}

static void
expired(uv_timer_t *t)
{
    mc_kube_plugin_t  *p = t->data;

    p->timeout = true;
    plugin_tell(p);
}

static void
output_alloc(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
    output_t  *o = (output_t *) h;

    (void) n;
    *buf = uv_buf_init(o->bytes + o->len, (unsigned) (o->size - o->len - 1));
}

/* Of stderr the beginning is kept, and the rest read and forgotten. */
static void
output_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    output_t  *o = (output_t *) s;

    (void) buf;
    if (n > 0) {
        o->len += (size_t) n;
        if (o->len == o->size - 1) {
            o->overflow = true;
            o->len /= 2;
        }
        if (o->overflow && o == &o->plugin->out) {
            plugin_tell(o->plugin);
        }

    } else if (n < 0) {
        output_close(o);
        plugin_look(o->plugin);
    }
}

static int
output_open(mc_kube_plugin_t *p, output_t *o, size_t size)
{
    o->bytes = malloc(size);
    if (o->bytes == NULL) {
        return -1;
    }
    o->size = size;
    o->plugin = p;
    uv_pipe_init(p->timer.loop, &o->pipe, 0);
    o->pipe.data = p;
    o->open = true;
    p->handles++;
    return 0;
}


/* -- its environment -- */

static mc_json_t *
cluster_info(const mc_alloc_t *a, mc_arena_t *arena,
    const mc_kubeconfig_t *cfg, const char *ca)
{
    mc_json_t  *c = mc_json_object(a);
    size_t      n = ca ? strlen(ca) : 0;
    char       *b64;

    mc_json_set(a, c, "server", mc_json_string(a, cfg->server,
                                               strlen(cfg->server)));
    if (cfg->server_name) {
        mc_json_set(a, c, "tls-server-name",
                    mc_json_string(a, cfg->server_name,
                                   strlen(cfg->server_name)));
    }
    b64 = n ? mc_arena_alloc(arena, n / 3 * 4 + 8) : NULL;
    if (b64) {
        n = (size_t) EVP_EncodeBlock((unsigned char *) b64,
                                     (const unsigned char *) ca, (int) n);
        mc_json_set(a, c, "certificate-authority-data",
                    mc_json_string(a, b64, n));
    }
    return c;
}

/* "KUBERNETES_EXEC_INFO={…}", NULL: no memory. */
static const char *
exec_info(mc_arena_t *arena, const mc_kubeconfig_t *cfg, const char *ca)
{
    mc_alloc_t   a = mc_arena_allocator(arena);
    mc_json_t   *doc = mc_json_object(&a), *spec = mc_json_object(&a);
    const char  *v = cfg->exec->api_version;
    size_t       n;
    char        *text;

    mc_json_set(&a, doc, "kind", mc_json_string(&a, "ExecCredential", 14));
    mc_json_set(&a, doc, "apiVersion", mc_json_string(&a, v, strlen(v)));
    mc_json_set(&a, spec, "interactive", mc_json_boolean(&a, 0));
    if (cfg->exec->cluster_info) {
        mc_json_set(&a, spec, "cluster", cluster_info(&a, arena, cfg, ca));
    }
    if (mc_json_set(&a, doc, "spec", spec) != 0) {
        return NULL;
    }
    n = mc_json_write(NULL, 0, doc) + 1;
    text = mc_arena_alloc(arena, n + sizeof(INFO "="));
    if (text) {
        strcpy(text, INFO "=");
        mc_json_write(text + strlen(text), n, doc);
    }
    return text;
}

static bool
is_set(const char *const *env, size_t n, const char *entry)
{
    size_t  name = strcspn(entry, "=") + 1;

    for (size_t i = 0; i < n; i++) {
        if (strncmp(env[i], entry, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Ours, with what the kubeconfig and the protocol add to it. */
static const char **
environment(mc_arena_t *arena, const mc_kubeconfig_t *cfg, const char *ca)
{
    const char  **env, *const *more = cfg->exec->env;
    size_t        n = 2, own;

    for (char **e = environ; *e; e++) {
        n++;
    }
    for (const char *const *e = more; *e; e++) {
        n++;
    }
    env = mc_arena_alloc(arena, n * sizeof(*env));
    if (env == NULL) {
        return NULL;
    }
    n = 0;
    env[n] = exec_info(arena, cfg, ca);
    if (env[n++] == NULL) {
        return NULL;
    }
    for (; *more; more++) {
        if (!is_set(env, n, *more)) {
            env[n++] = *more;
        }
    }
    own = n;
    for (char **e = environ; *e; e++) {
        if (!is_set(env, own, *e)) {
            env[n++] = *e;
        }
    }
    return env;
}


/* -- start -- */

static int
spawn(mc_kube_plugin_t *p, uv_loop_t *loop, const char **env)
{
    uv_stdio_container_t  io[3] = {
        { .flags = UV_IGNORE },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
          .data.stream = (uv_stream_t *) &p->out.pipe },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
          .data.stream = (uv_stream_t *) &p->said.pipe }
    };
    uv_process_options_t  options = {
        .exit_cb = exited, .file = p->cfg->exec->argv[0],
        .args = (char **) p->cfg->exec->argv, .env = (char **) env,
        .flags = UV_PROCESS_DETACHED,   /* a group, to be killed as one */
        .stdio_count = 3, .stdio = io
    };

    return uv_spawn(loop, &p->process, &options);
}

mc_kube_plugin_t *
mc_kube_plugin_run(uv_loop_t *loop, const mc_kubeconfig_t *cfg,
    const char *ca, unsigned timeout_ms, mc_kube_plugin_pt done, void *data,
    char *err, size_t errlen)
{
    mc_kube_plugin_t  *p = calloc(1, sizeof(*p));
    mc_arena_t        *arena = mc_arena_create();
    const char       **env = arena ? environment(arena, cfg, ca) : NULL;
    const char        *hint = cfg->exec->install_hint;
    int                rc = UV_ENOMEM;

    if (p == NULL || env == NULL) {
        free(p);
        mc_arena_destroy(arena);
        snprintf(err, errlen, "memory is out");
        return NULL;
    }
    p->cfg = cfg;
    p->done = done;
    p->data = data;
    p->timeout_ms = timeout_ms;
    uv_timer_init(loop, &p->timer);
    p->timer.data = p->process.data = p;
    p->handles = 2;
    if (output_open(p, &p->out, MAX_OUTPUT) == 0
        && output_open(p, &p->said, MAX_SAID) == 0)
    {
        rc = spawn(p, loop, env);
    }
    mc_arena_destroy(arena);
    if (rc != 0) {
        snprintf(err, errlen, "the credential plugin \"%.200s\" cannot be run: "
                 "%s%s%.300s", cfg->exec->argv[0], uv_strerror(rc),
                 *hint ? ". " : "", hint);
        if (p->process.loop == NULL) {
            p->handles--;           /* it was never a handle */
        }
        plugin_end(p);
        return NULL;
    }
    p->running = true;
    uv_timer_start(&p->timer, expired, timeout_ms, 0);
    uv_read_start((uv_stream_t *) &p->out.pipe, output_alloc, output_read);
    uv_read_start((uv_stream_t *) &p->said.pipe, output_alloc, output_read);
    return p;
}


void
mc_kube_plugin_cancel(mc_kube_plugin_t *p)
{
    if (!p->over) {
        plugin_end(p);
    }
}
