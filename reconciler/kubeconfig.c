/*
 * Kubeconfig files by libyaml's document tree, which knows the line of every
 * node.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kubeconfig_private.h"

#define ACCOUNT  "/var/run/secrets/kubernetes.io/serviceaccount"


/* -- what the entries say -- */

/* The entry called name in the list of that name: {name: …, kind: {…}}. The
 * first file that has it counts, and is the one looked at from now on. NULL
 * is a fault. */
static yaml_node_t *
entry(kc_load_t *l, const char *list, const char *kind, const char *name)
{
    yaml_node_t       *seq, *e;
    yaml_node_item_t  *i;

    for (unsigned n = 0; n < l->n; n++) {
        l->f = &l->files[n];
        seq = kc_member(l, yaml_document_get_root_node(&l->f->doc), list);
        if (seq == NULL) {
            continue;
        }
        if (seq->type != YAML_SEQUENCE_NODE) {
            kc_fault(l, seq, "%s is no list", list);
            return NULL;
        }
        for (i = seq->data.sequence.items.start;
             i < seq->data.sequence.items.top; i++)
        {
            e = kc_node(l, *i);
            if (!kc_is_text(kc_member(l, e, "name"), name)) {
                continue;
            }
            e = kc_member(l, e, kind);
            if (e == NULL || e->type != YAML_MAPPING_NODE) {
                kc_fault(l, kc_node(l, *i), "the entry \"%s\" of %s has no %s",
                      name, list, kind);
                return NULL;
            }
            return e;
        }
    }
    l->f = l->n == 1 ? &l->files[0] : NULL;
    kc_fault(l, NULL, "there is no entry \"%s\" in %s", name, list);
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
set_server(kc_load_t *l, const yaml_node_t *at, const char *s)
{
    mc_kubeconfig_t  *p = &l->c->public;
    size_t            n, len;
    char             *host;
    bool              bare;

    if (strncmp(s, "https://", 8) != 0) {
        kc_fault(l, at, "the server \"%.200s\" does not begin with https://: "
              "credentials are sent over TLS only", s);
        return;
    }
    n = strcspn(s + 8, "/");
    if (!authority(s + 8, n) || s[8 + n + strcspn(s + 8 + n, "?# \t\r\n")]) {
        kc_fault(l, at, "the server \"%.200s\" is no URL of a host, a port and "
              "a path", s);
        return;
    }
    len = strlen(s + 8 + n);
    while (len && s[8 + n + len - 1] == '/') {
        len--;
    }
    bare = memchr(s + 8, ':', n) == NULL || s[8 + n - 1] == ']';
    host = mc_arena_alloc(l->c->arena, n + 5);
    p->server = kc_keep(l, s, 8 + n + len);
    p->path = kc_keep(l, s + 8 + n, len);
    if (host == NULL) {
        kc_fault(l, NULL, "memory is out");
        return;
    }
    snprintf(host, n + 5, "%.*s%s", (int) n, s + 8, bare ? ":443" : "");
    p->host = host;
}

static void
read_cluster(kc_load_t *l, const yaml_node_t *cluster)
{
    mc_kubeconfig_t    *p = &l->c->public;
    const yaml_node_t  *at = kc_member(l, cluster, "server");
    const char         *server = kc_text(l, cluster, "server");

    if (server == NULL) {
        kc_fault(l, cluster, "the cluster has no server");
        return;
    }
    set_server(l, at, server);
    p->server_name = kc_text(l, cluster, "tls-server-name");
    if (p->server_name && (strlen(p->server_name) > 253
                           || !authority(p->server_name,
                                         strlen(p->server_name))
                           || strchr(p->server_name, ':')))
    {
        kc_fault(l, kc_member(l, cluster, "tls-server-name"),
              "tls-server-name is no host name");
    }
    p->proxy = kc_text(l, cluster, "proxy-url");
    if (p->proxy && strncmp(p->proxy, "http://", 7) != 0
        && strncmp(p->proxy, "https://", 8) != 0
        && strncmp(p->proxy, "socks5://", 9) != 0)
    {
        kc_fault(l, kc_member(l, cluster, "proxy-url"), "proxy-url begins with "
              "none of http://, https:// and socks5://");
    }
    p->ca = kc_pem(l, cluster, "certificate-authority-data");
    p->ca_file = kc_path(l, cluster, "certificate-authority");
    if (kc_truth(l, cluster, "insecure-skip-tls-verify")) {
        kc_fault(l, kc_member(l, cluster, "insecure-skip-tls-verify"),
              "insecure-skip-tls-verify is refused: the server's certificate "
              "is verified always; name its certificate-authority instead");
    }
}


/* -- users -- */

/* What kubectl knows and we do not: better refused than left out. */
static void
refuse(kc_load_t *l, const yaml_node_t *user)
{
    static const char *const  keys[] = {
        "username", "password", "auth-provider", "as", "as-uid", "as-groups",
        "as-user-extra"
    };
    const yaml_node_t        *v;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        v = kc_member(l, user, keys[i]);
        if (v) {
            kc_fault(l, v, "%s is not supported: use a client certificate, "
                  "token, tokenFile or exec", keys[i]);
        }
    }
}

static void
read_user(kc_load_t *l, const yaml_node_t *user)
{
    mc_kubeconfig_t    *p = &l->c->public;
    const yaml_node_t  *exec = kc_member(l, user, "exec");

    refuse(l, user);
    p->cert = kc_pem(l, user, "client-certificate-data");
    p->cert_file = kc_path(l, user, "client-certificate");
    p->key = kc_pem(l, user, "client-key-data");
    p->key_file = kc_path(l, user, "client-key");
    p->token = kc_text(l, user, "token");
    p->token_file = kc_path(l, user, "tokenFile");
    if ((p->cert || p->cert_file) != (p->key || p->key_file)) {
        kc_fault(l, user,
                 "a client certificate and its key go together: one of "
                 "them is missing");
    }
    if (p->token && strpbrk(p->token, "\r\n")) {
        kc_fault(l, kc_member(l, user, "token"),
                 "the token has more than a line");
    }
    /* an inline token goes before a file, a file before a plugin */
    if (exec && p->token == NULL && p->token_file == NULL) {
        kc_read_exec(l, exec);
    }
}

static const char *
current_context(kc_load_t *l)
{
    const char  *s;

    for (unsigned n = 0; n < l->n; n++) {
        l->f = &l->files[n];
        s = kc_text(l, yaml_document_get_root_node(&l->f->doc),
                 "current-context");
        if (s || l->failed) {
            return s;
        }
    }
    l->f = l->n == 1 ? &l->files[0] : NULL;
    kc_fault(l, NULL, "there is no current-context");
    return NULL;
}

static void
read_context(kc_load_t *l, const char *name)
{
    const yaml_node_t  *e;
    const char         *cluster, *user;

    name = name[0] ? name : current_context(l);
    e = name ? entry(l, "contexts", "context", name) : NULL;
    if (e == NULL) {
        return;
    }
    cluster = kc_text(l, e, "cluster");
    user = kc_text(l, e, "user");
    l->c->public.ns = kc_text(l, e, "namespace");
    if (l->c->public.ns == NULL) {
        l->c->public.ns = "default";
    }
    if (cluster == NULL) {
        kc_fault(l, e, "the context \"%s\" has no cluster", name);
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
add_text(kc_load_t *l, const char *name, const char *bytes, size_t len)
{
    kc_file_t         *f = &l->files[l->n];
    yaml_node_t    *root;
    yaml_parser_t   parser;

    if (l->n == KC_MAX_FILES) {
        kc_fault(l, NULL, "KUBECONFIG names more than %d files", KC_MAX_FILES);
        return;
    }
    l->f = f;
    f->name = kc_keep(l, name, strlen(name));
    if (f->name == NULL || !yaml_parser_initialize(&parser)) {
        kc_fault(l, NULL, "memory is out");
        return;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *) bytes, len);
    if (!yaml_parser_load(&parser, &f->doc)) {
        l->f = NULL;
        kc_fault(l, NULL, "%s:%zu: %s", name, parser.problem_mark.line + 1,
              parser.problem ? parser.problem : "it is no YAML");
    } else {
        l->n++;
        root = yaml_document_get_root_node(&f->doc);
        if (root && root->type != YAML_MAPPING_NODE) {
            kc_fault(l, root, "it is no mapping, so no kubeconfig");
        }
    }
    yaml_parser_delete(&parser);
}

static void
add_file(kc_load_t *l, const char *name)
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
        kc_fault(l, NULL, "%s", why);
    }
}

static bool
load_begin(kc_load_t *l, char *err, size_t errlen)
{
    *l = (kc_load_t){ .err = err, .errlen = errlen };
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
load_end(kc_load_t *l)
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
    kc_load_t       l;
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
        kc_fault(&l, NULL, "%s: there is no such kubeconfig", files);
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
    kc_load_t  l;

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
account_file(kc_load_t *l, const char *dir, const char *name)
{
    char  buf[512];

    snprintf(buf, sizeof(buf), "%s/%s", dir, name);
    return kc_keep(l, buf, strlen(buf));
}

mc_kubeconfig_t *
mc_kubeconfig_in_cluster(const char *dir, char *err, size_t errlen)
{
    const char  *host = getenv("KUBERNETES_SERVICE_HOST");
    const char  *port = getenv("KUBERNETES_SERVICE_PORT"), *file;
    char         url[320], why[512], *ns;
    bool         v6 = host && strchr(host, ':');
    kc_load_t       l;
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
        l.c->public.ns = len ? kc_keep(&l, ns, len) : "default";
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
    kc_config_t  *c = (kc_config_t *) cfg;

    if (c) {
        mc_arena_destroy(c->arena);
        free(c);
    }
}
