/*
 * Kubeconfig files (client.authentication.k8s.io and v1 Config) by libyaml's
 * document tree, which knows the line of every node.
 */

#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>
#include "arena.h"
#include "kubeconfig.h"

#define MAX_FILES  16
#define MAX_ITEMS  256          /* arguments or variables of a plugin */
#define ACCOUNT    "/var/run/secrets/kubernetes.io/serviceaccount"

typedef struct {
    const char       *name;             /* of the file */
    yaml_document_t   doc;
} file_t;

typedef struct {
    mc_kubeconfig_t   public;           /* comes first */
    mc_arena_t       *arena;
} config_t;

typedef struct {
    config_t    *c;
    file_t       files[MAX_FILES];
    unsigned     n;
    file_t      *f;                     /* the one being looked at */
    char        *err;
    size_t       errlen;
    bool         failed;
} load_t;


/* -- faults -- */

/* The first fault is the one that is told. */
__attribute__((format(printf, 3, 4)))
static void
fault(load_t *l, const yaml_node_t *at, const char *fmt, ...)
{
    va_list  args;
    int      n = 0;

    if (l->failed) {
        return;
    }
    l->failed = true;
    if (l->f && at) {
        n = snprintf(l->err, l->errlen, "%s:%zu: ", l->f->name,
                     at->start_mark.line + 1);
    } else if (l->f) {
        n = snprintf(l->err, l->errlen, "%s: ", l->f->name);
    }
    if (n >= 0 && (size_t) n < l->errlen) {
        va_start(args, fmt);
        vsnprintf(l->err + n, l->errlen - (size_t) n, fmt, args);
        va_end(args);
    }
}

static char *
keep(load_t *l, const char *s, size_t len)
{
    char  *p = mc_arena_alloc(l->c->arena, len + 1);

    if (p == NULL) {
        fault(l, NULL, "memory is out");
        return NULL;
    }
    memcpy(p, s, len);
    return p;
}


/* -- the tree -- */

static yaml_node_t *
node(load_t *l, int id)
{
    return yaml_document_get_node(&l->f->doc, id);
}

static bool
is_text(const yaml_node_t *n, const char *s)
{
    return n && n->type == YAML_SCALAR_NODE
           && n->data.scalar.length == strlen(s)
           && memcmp(n->data.scalar.value, s, strlen(s)) == 0;
}

static bool
is_null(const yaml_node_t *n)
{
    return n == NULL
           || (n->type == YAML_SCALAR_NODE
               && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
               && (n->data.scalar.length == 0 || is_text(n, "null")
                   || is_text(n, "~")));
}

/* The value of a member, NULL: none, or null. */
static yaml_node_t *
member(load_t *l, const yaml_node_t *map, const char *key)
{
    yaml_node_pair_t  *p;
    yaml_node_t       *v;

    if (map == NULL || map->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    for (p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++)
    {
        if (is_text(node(l, p->key), key)) {
            v = node(l, p->value);
            return is_null(v) ? NULL : v;
        }
    }
    return NULL;
}

/* Its text; NULL: none, empty, or a fault. */
static const char *
text_of(load_t *l, const yaml_node_t *v, const char *what)
{
    const char  *s;

    if (v == NULL) {
        return NULL;
    }
    if (v->type != YAML_SCALAR_NODE) {
        fault(l, v, "%s is no string", what);
        return NULL;
    }
    s = (const char *) v->data.scalar.value;
    if (memchr(s, '\0', v->data.scalar.length)) {
        fault(l, v, "%s contains a NUL byte", what);
        return NULL;
    }
    return v->data.scalar.length ? keep(l, s, v->data.scalar.length) : NULL;
}

static const char *
text(load_t *l, const yaml_node_t *map, const char *key)
{
    return text_of(l, member(l, map, key), key);
}

static bool
truth(load_t *l, const yaml_node_t *map, const char *key)
{
    const yaml_node_t  *v = member(l, map, key);

    if (v == NULL || is_text(v, "false")) {
        return false;
    }
    if (!is_text(v, "true")) {
        fault(l, v, "%s is neither true nor false", key);
    }
    return true;
}

/* Relative paths are meant from where their file is. */
static const char *
file_path(load_t *l, const yaml_node_t *map, const char *key)
{
    const char  *s = text(l, map, key), *slash = strrchr(l->f->name, '/');
    size_t       dir = slash ? (size_t) (slash - l->f->name) + 1 : 0;
    char        *p;

    if (s == NULL || s[0] == '/' || dir == 0) {
        return s;
    }
    p = mc_arena_alloc(l->c->arena, dir + strlen(s) + 1);
    if (p == NULL) {
        fault(l, NULL, "memory is out");
        return NULL;
    }
    memcpy(p, l->f->name, dir);
    strcpy(p + dir, s);
    return p;
}

/* The bytes of a …-data member, which are PEM in base64. */
static const char *
pem(load_t *l, const yaml_node_t *map, const char *key)
{
    const yaml_node_t  *v = member(l, map, key);
    const char         *s = text_of(l, v, key);
    EVP_ENCODE_CTX     *ctx = s ? EVP_ENCODE_CTX_new() : NULL;
    unsigned char      *out;
    size_t              len;
    int                 n = 0, last = 0, rc = -1;

    if (ctx == NULL) {
        return NULL;
    }
    len = strlen(s);
    out = mc_arena_alloc(l->c->arena, len + 4);
    if (out) {
        EVP_DecodeInit(ctx);
        rc = EVP_DecodeUpdate(ctx, out, &n, (const unsigned char *) s,
                              (int) len);
        if (rc >= 0) {
            rc = EVP_DecodeFinal(ctx, out + n, &last);
        }
    }
    EVP_ENCODE_CTX_free(ctx);
    if (rc < 0 || n + last == 0) {
        fault(l, v, "%s is no base64", key);
        return NULL;
    }
    out[n + last] = '\0';
    if (strlen((char *) out) != (size_t) (n + last)
        || strstr((char *) out, "-----BEGIN ") == NULL)
    {
        fault(l, v, "%s is no PEM in base64", key);
        return NULL;
    }
    return (char *) out;
}


/* -- what the entries say -- */

/* The entry called name in the list of that name: {name: …, kind: {…}}. The
 * first file that has it counts, and is the one looked at from now on. NULL
 * is a fault. */
static yaml_node_t *
entry(load_t *l, const char *list, const char *kind, const char *name)
{
    yaml_node_t       *seq, *e;
    yaml_node_item_t  *i;

    for (unsigned n = 0; n < l->n; n++) {
        l->f = &l->files[n];
        seq = member(l, yaml_document_get_root_node(&l->f->doc), list);
        if (seq == NULL) {
            continue;
        }
        if (seq->type != YAML_SEQUENCE_NODE) {
            fault(l, seq, "%s is no list", list);
            return NULL;
        }
        for (i = seq->data.sequence.items.start;
             i < seq->data.sequence.items.top; i++)
        {
            e = node(l, *i);
            if (!is_text(member(l, e, "name"), name)) {
                continue;
            }
            e = member(l, e, kind);
            if (e == NULL || e->type != YAML_MAPPING_NODE) {
                fault(l, node(l, *i), "the entry \"%s\" of %s has no %s",
                      name, list, kind);
                return NULL;
            }
            return e;
        }
    }
    l->f = l->n == 1 ? &l->files[0] : NULL;
    fault(l, NULL, "there is no entry \"%s\" in %s", name, list);
    return NULL;
}

/* "host", "host:port", "[v6]:port" between the scheme and the path. */
static bool
authority(const char *s, size_t n)
{
    const char  *colon;
    size_t       host = n;

    if (n == 0 || n > 260) {
        return false;
    }
    if (s[0] == '[') {
        colon = memchr(s, ']', n);
        host = colon ? (size_t) (colon - s) + 1 : 0;
        if (host < 4 || strspn(s + 1, "0123456789abcdefABCDEF:.") < host - 2) {
            return false;
        }
    } else {
        host = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                      "0123456789-._");
        host = host < n ? host : n;
    }
    return host && (host == n || (s[host] == ':' && n > host + 1 && n < host + 7
                       && strspn(s + host + 1, "0123456789") >= n - host - 1));
}

static void
set_server(load_t *l, const yaml_node_t *at, const char *s)
{
    mc_kubeconfig_t  *p = &l->c->public;
    size_t            n, len;
    char             *host;
    bool              bare;

    if (strncmp(s, "https://", 8) != 0) {
        fault(l, at, "the server \"%.200s\" does not begin with https://: "
              "credentials are sent over TLS only", s);
        return;
    }
    n = strcspn(s + 8, "/");
    if (!authority(s + 8, n) || s[8 + n + strcspn(s + 8 + n, "?# \t\r\n")]) {
        fault(l, at, "the server \"%.200s\" is no URL of a host, a port and "
              "a path", s);
        return;
    }
    len = strlen(s + 8 + n);
    while (len && s[8 + n + len - 1] == '/') {
        len--;
    }
    bare = memchr(s + 8, ':', n) == NULL || s[8 + n - 1] == ']';
    host = mc_arena_alloc(l->c->arena, n + 5);
    p->server = keep(l, s, 8 + n + len);
    p->path = keep(l, s + 8 + n, len);
    if (host == NULL) {
        fault(l, NULL, "memory is out");
        return;
    }
    snprintf(host, n + 5, "%.*s%s", (int) n, s + 8, bare ? ":443" : "");
    p->host = host;
}

static void
read_cluster(load_t *l, const yaml_node_t *cluster)
{
    mc_kubeconfig_t    *p = &l->c->public;
    const yaml_node_t  *at = member(l, cluster, "server");
    const char         *server = text(l, cluster, "server");

    if (server == NULL) {
        fault(l, cluster, "the cluster has no server");
        return;
    }
    set_server(l, at, server);
    p->server_name = text(l, cluster, "tls-server-name");
    if (p->server_name && (strlen(p->server_name) > 253
                           || !authority(p->server_name,
                                         strlen(p->server_name))
                           || strchr(p->server_name, ':')))
    {
        fault(l, member(l, cluster, "tls-server-name"),
              "tls-server-name is no host name");
    }
    p->proxy = text(l, cluster, "proxy-url");
    if (p->proxy && strncmp(p->proxy, "http://", 7) != 0
        && strncmp(p->proxy, "https://", 8) != 0
        && strncmp(p->proxy, "socks5://", 9) != 0)
    {
        fault(l, member(l, cluster, "proxy-url"), "proxy-url begins with "
              "none of http://, https:// and socks5://");
    }
    p->ca = pem(l, cluster, "certificate-authority-data");
    p->ca_file = file_path(l, cluster, "certificate-authority");
    if (truth(l, cluster, "insecure-skip-tls-verify")) {
        fault(l, member(l, cluster, "insecure-skip-tls-verify"),
              "insecure-skip-tls-verify is refused: the server's certificate "
              "is verified always; name its certificate-authority instead");
    }
}


/* -- exec plugins -- */

static const char **
list_alloc(load_t *l, const yaml_node_t *seq, const char *what, size_t more)
{
    const char  **v;
    size_t        n = 0;

    if (seq && seq->type != YAML_SEQUENCE_NODE) {
        fault(l, seq, "%s is no list", what);
        return NULL;
    }
    if (seq) {
        n = (size_t) (seq->data.sequence.items.top
                      - seq->data.sequence.items.start);
    }
    if (n > MAX_ITEMS) {
        fault(l, seq, "%s has more than %d elements", what, MAX_ITEMS);
        return NULL;
    }
    v = mc_arena_alloc(l->c->arena, (n + more + 1) * sizeof(*v));
    if (v == NULL) {
        fault(l, NULL, "memory is out");
    }
    return v;
}

/* A command with a "/" in it is a path, another one is looked for in PATH. */
static const char *
command(load_t *l, const yaml_node_t *exec)
{
    const char  *s = text(l, exec, "command");

    if (s == NULL) {
        fault(l, exec, "exec has no command");
        return NULL;
    }
    return strchr(s, '/') ? file_path(l, exec, "command") : s;
}

static const char **
arguments(load_t *l, const yaml_node_t *exec)
{
    const yaml_node_t  *seq = member(l, exec, "args");
    const char        **argv = list_alloc(l, seq, "args", 1), *s;
    size_t              n = 0;
    yaml_node_item_t   *i;

    if (argv == NULL) {
        return NULL;
    }
    argv[n++] = command(l, exec);
    if (seq) {
        for (i = seq->data.sequence.items.start;
             i < seq->data.sequence.items.top; i++)
        {
            s = text_of(l, node(l, *i), "an element of args");
            argv[n++] = s ? s : "";
        }
    }
    return argv;
}

static const char **
environment(load_t *l, const yaml_node_t *exec)
{
    const yaml_node_t  *seq = member(l, exec, "env");
    const char        **env = list_alloc(l, seq, "env", 0);
    const char         *name, *value;
    yaml_node_item_t   *i;
    size_t              n = 0, size;
    char               *p;

    if (env == NULL || seq == NULL) {
        return env;
    }
    for (i = seq->data.sequence.items.start; i < seq->data.sequence.items.top;
         i++)
    {
        name = text(l, node(l, *i), "name");
        value = text(l, node(l, *i), "value");
        if (name == NULL || strchr(name, '=')) {
            fault(l, node(l, *i), "an element of env has no name");
            return NULL;
        }
        size = strlen(name) + (value ? strlen(value) : 0) + 2;
        p = mc_arena_alloc(l->c->arena, size);
        if (p == NULL) {
            fault(l, NULL, "memory is out");
            return NULL;
        }
        snprintf(p, size, "%s=%s", name, value ? value : "");
        env[n++] = p;
    }
    return env;
}

static void
read_exec(load_t *l, const yaml_node_t *exec)
{
    mc_kubeconfig_exec_t  *x = mc_arena_alloc(l->c->arena, sizeof(*x));
    const char            *s;

    if (x == NULL) {
        fault(l, NULL, "memory is out");
        return;
    }
    if (exec->type != YAML_MAPPING_NODE) {
        fault(l, exec, "exec is no mapping");
        return;
    }
    x->api_version = text(l, exec, "apiVersion");
    if (x->api_version == NULL
        || (strcmp(x->api_version, "client.authentication.k8s.io/v1") != 0
            && strcmp(x->api_version, "client.authentication.k8s.io/v1beta1")
               != 0))
    {
        fault(l, exec, "the apiVersion of exec is neither "
              "client.authentication.k8s.io/v1 nor /v1beta1");
    }
    s = text(l, exec, "interactiveMode");
    if (s && strcmp(s, "Always") == 0) {
        fault(l, member(l, exec, "interactiveMode"), "the plugin wants to "
              "talk to a person (interactiveMode Always), and there is none");
    }
    s = text(l, exec, "installHint");
    x->install_hint = s ? s : "";
    x->cluster_info = truth(l, exec, "provideClusterInfo");
    x->argv = arguments(l, exec);
    x->env = environment(l, exec);
    l->c->public.exec = x;
}


/* -- users -- */

/* What kubectl knows and we do not: better refused than left out. */
static void
refuse(load_t *l, const yaml_node_t *user)
{
    static const char *const  keys[] = {
        "username", "password", "auth-provider", "as", "as-uid", "as-groups",
        "as-user-extra"
    };
    const yaml_node_t        *v;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        v = member(l, user, keys[i]);
        if (v) {
            fault(l, v, "%s is not supported: use a client certificate, "
                  "token, tokenFile or exec", keys[i]);
        }
    }
}

static void
read_user(load_t *l, const yaml_node_t *user)
{
    mc_kubeconfig_t    *p = &l->c->public;
    const yaml_node_t  *exec = member(l, user, "exec");

    refuse(l, user);
    p->cert = pem(l, user, "client-certificate-data");
    p->cert_file = file_path(l, user, "client-certificate");
    p->key = pem(l, user, "client-key-data");
    p->key_file = file_path(l, user, "client-key");
    p->token = text(l, user, "token");
    p->token_file = file_path(l, user, "tokenFile");
    if ((p->cert || p->cert_file) != (p->key || p->key_file)) {
        fault(l, user, "a client certificate and its key go together: one of "
              "them is missing");
    }
    if (p->token && strpbrk(p->token, "\r\n")) {
        fault(l, member(l, user, "token"), "the token has more than a line");
    }
    /* an inline token goes before a file, a file before a plugin */
    if (exec && p->token == NULL && p->token_file == NULL) {
        read_exec(l, exec);
    }
}

static const char *
current_context(load_t *l)
{
    const char  *s;

    for (unsigned n = 0; n < l->n; n++) {
        l->f = &l->files[n];
        s = text(l, yaml_document_get_root_node(&l->f->doc),
                 "current-context");
        if (s || l->failed) {
            return s;
        }
    }
    l->f = l->n == 1 ? &l->files[0] : NULL;
    fault(l, NULL, "there is no current-context");
    return NULL;
}

static void
read_context(load_t *l, const char *name)
{
    const yaml_node_t  *e;
    const char         *cluster, *user;

    name = name[0] ? name : current_context(l);
    e = name ? entry(l, "contexts", "context", name) : NULL;
    if (e == NULL) {
        return;
    }
    cluster = text(l, e, "cluster");
    user = text(l, e, "user");
    l->c->public.ns = text(l, e, "namespace");
    if (l->c->public.ns == NULL) {
        l->c->public.ns = "default";
    }
    if (cluster == NULL) {
        fault(l, e, "the context \"%s\" has no cluster", name);
        return;
    }
    e = entry(l, "clusters", "cluster", cluster);
    if (e) {
        read_cluster(l, e);
    }
    e = user && !l->failed ? entry(l, "users", "user", user) : NULL;
    if (e) {
        read_user(l, e);
    }
}


/* -- files -- */

char *
mc_kubeconfig_read_file(const char *file, size_t *len, char *err,
    size_t errlen)
{
    FILE         *f = fopen(file, "rbe");
    struct stat   st;
    char         *p = NULL;
    size_t        n;

    if (f == NULL || fstat(fileno(f), &st) != 0) {
        snprintf(err, errlen, "%s: %s", file, strerror(errno));

    } else if (!S_ISREG(st.st_mode) || st.st_size > MC_KUBECONFIG_MAX) {
        snprintf(err, errlen, "%s: it is no file of at most %d bytes", file,
                 MC_KUBECONFIG_MAX);

    } else if ((p = malloc((size_t) st.st_size + 1)) == NULL) {
        snprintf(err, errlen, "%s: memory is out", file);

    } else {
        n = fread(p, 1, (size_t) st.st_size, f);
        p[n] = '\0';
        *len = n;
    }
    if (f) {
        fclose(f);
    }
    return p;
}

static void
add_text(load_t *l, const char *name, const char *bytes, size_t len)
{
    file_t         *f = &l->files[l->n];
    yaml_node_t    *root;
    yaml_parser_t   parser;

    if (l->n == MAX_FILES) {
        fault(l, NULL, "KUBECONFIG names more than %d files", MAX_FILES);
        return;
    }
    l->f = f;
    f->name = keep(l, name, strlen(name));
    if (f->name == NULL || !yaml_parser_initialize(&parser)) {
        fault(l, NULL, "memory is out");
        return;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *) bytes, len);
    if (!yaml_parser_load(&parser, &f->doc)) {
        l->f = NULL;
        fault(l, NULL, "%s:%zu: %s", name, parser.problem_mark.line + 1,
              parser.problem ? parser.problem : "it is no YAML");
    } else {
        l->n++;
        root = yaml_document_get_root_node(&f->doc);
        if (root && root->type != YAML_MAPPING_NODE) {
            fault(l, root, "it is no mapping, so no kubeconfig");
        }
    }
    yaml_parser_delete(&parser);
}

static void
add_file(load_t *l, const char *name)
{
    char    *bytes;
    size_t   len;
    char     why[512];

    bytes = mc_kubeconfig_read_file(name, &len, why, sizeof(why));
    if (bytes) {
        add_text(l, name, bytes, len);
        explicit_bzero(bytes, len);
        free(bytes);

    } else if (access(name, F_OK) == 0 || errno != ENOENT) {
        l->f = NULL;
        fault(l, NULL, "%s", why);
    }
}

static bool
load_begin(load_t *l, char *err, size_t errlen)
{
    *l = (load_t){ .err = err, .errlen = errlen };
    l->c = calloc(1, sizeof(*l->c));
    if (l->c) {
        l->c->arena = mc_arena_create();
    }
    if (l->c == NULL || l->c->arena == NULL) {
        free(l->c);
        snprintf(err, errlen, "memory is out");
        return false;
    }
    return true;
}

static mc_kubeconfig_t *
load_end(load_t *l)
{
    for (unsigned n = 0; n < l->n; n++) {
        yaml_document_delete(&l->files[n].doc);
    }
    if (l->failed) {
        mc_kubeconfig_free(&l->c->public);
        return NULL;
    }
    return &l->c->public;
}


/* -- the ways in -- */

mc_kubeconfig_t *
mc_kubeconfig_load(const char *files, const char *context, char *err,
    size_t errlen)
{
    load_t       l;
    const char  *p = files;
    char         name[4096];
    size_t       n;

    if (!load_begin(&l, err, errlen)) {
        return NULL;
    }
    for (; *p && !l.failed; p += n + (p[n] == ':')) {
        n = strcspn(p, ":");
        if (n && n < sizeof(name)) {
            snprintf(name, sizeof(name), "%.*s", (int) n, p);
            add_file(&l, name);
        }
    }
    if (l.n == 0) {
        l.f = NULL;
        fault(&l, NULL, "%s: there is no such kubeconfig", files);
    }
    if (!l.failed) {
        read_context(&l, context);
    }
    return load_end(&l);
}


mc_kubeconfig_t *
mc_kubeconfig_parse(const char *file, const char *bytes, size_t len,
    const char *context, char *err, size_t errlen)
{
    load_t  l;

    if (!load_begin(&l, err, errlen)) {
        return NULL;
    }
    add_text(&l, file, bytes, len);
    if (!l.failed) {
        read_context(&l, context);
    }
    return load_end(&l);
}


static const char *
account_file(load_t *l, const char *dir, const char *name)
{
    char  buf[512];

    snprintf(buf, sizeof(buf), "%s/%s", dir, name);
    return keep(l, buf, strlen(buf));
}

mc_kubeconfig_t *
mc_kubeconfig_in_cluster(const char *dir, char *err, size_t errlen)
{
    const char  *host = getenv("KUBERNETES_SERVICE_HOST");
    const char  *port = getenv("KUBERNETES_SERVICE_PORT"), *file;
    char         url[320], why[512], *ns;
    bool         v6 = host && strchr(host, ':');
    load_t       l;
    size_t       len;

    if (host == NULL || port == NULL || *host == '\0' || *port == '\0') {
        snprintf(err, errlen, "this is no pod: KUBERNETES_SERVICE_HOST and "
                 "KUBERNETES_SERVICE_PORT are not set");
        return NULL;
    }
    if (!load_begin(&l, err, errlen)) {
        return NULL;
    }
    dir = dir ? dir : ACCOUNT;
    snprintf(url, sizeof(url), "https://%s%s%s:%s", v6 ? "[" : "", host,
             v6 ? "]" : "", port);
    set_server(&l, NULL, url);
    l.c->public.ca_file = account_file(&l, dir, "ca.crt");
    l.c->public.token_file = account_file(&l, dir, "token");
    l.c->public.ns = "default";
    file = account_file(&l, dir, "namespace");
    ns = file ? mc_kubeconfig_read_file(file, &len, why, sizeof(why)) : NULL;
    if (ns) {
        len = strcspn(ns, " \r\n");
        l.c->public.ns = len ? keep(&l, ns, len) : "default";
        free(ns);
    }
    return load_end(&l);
}


mc_kubeconfig_t *
mc_kubeconfig_find(const char *files, const char *context, char *err,
    size_t errlen)
{
    const char  *env = getenv("KUBECONFIG"), *home = getenv("HOME");
    char         buf[4096];

    if (files && files[0]) {
        return mc_kubeconfig_load(files, context, err, errlen);
    }
    if (env && env[0]) {
        return mc_kubeconfig_load(env, context, err, errlen);
    }
    snprintf(buf, sizeof(buf), "%s/.kube/config", home ? home : "");
    if (home && access(buf, F_OK) == 0) {
        return mc_kubeconfig_load(buf, context, err, errlen);
    }
    if (getenv("KUBERNETES_SERVICE_HOST")) {
        return mc_kubeconfig_in_cluster(NULL, err, errlen);
    }
    snprintf(err, errlen, "there is no kubeconfig: KUBECONFIG is not set, "
             "~/.kube/config does not exist, and this is no pod");
    return NULL;
}


void
mc_kubeconfig_free(mc_kubeconfig_t *cfg)
{
    config_t  *c = (config_t *) cfg;

    if (c) {
        mc_arena_destroy(c->arena);
        free(c);
    }
}
