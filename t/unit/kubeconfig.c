/*
 * Kubeconfig files, and what is wrong with them.
 */

#include <sys/stat.h>
#include <unistd.h>
#include "kubeconfig.h"
#include "tap.h"

static char              err[512];
static mc_kubeconfig_t  *cfg;
static char              dir[64];

static void
parse(const char *text)
{
    mc_kubeconfig_free(cfg);
    err[0] = '\0';
    cfg = mc_kubeconfig_parse("/etc/k/config", text, strlen(text), "", err,
                              sizeof(err));
}

static void
put(const char *name, const char *text)
{
    char   path[128];
    FILE  *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static void
load(const char *format, const char *context)
{
    char  files[256];

    snprintf(files, sizeof(files), format, dir, dir, dir);
    mc_kubeconfig_free(cfg);
    err[0] = '\0';
    cfg = mc_kubeconfig_load(files, context, err, sizeof(err));
}

#define HEAD                                                                 \
    "apiVersion: v1\nkind: Config\ncurrent-context: c\n"                     \
    "contexts: [{name: c, context: {cluster: k, user: u}}]\n"

/* One cluster and one user. */
static void
parse_with(const char *cluster, const char *user)
{
    char  text[4096];

    snprintf(text, sizeof(text), HEAD "clusters: [{name: k, cluster: {%s}}]\n"
             "users: [{name: u, user: {%s}}]\n", cluster, user);
    parse(text);
}

static void
refused(const char *cluster, const char *user, const char *why)
{
    parse_with(cluster, user);
    ok(cfg == NULL && strstr(err, why) && strncmp(err, "/etc/k/config:", 14)
       == 0, "refused: %s", err);
}

static void
whole(void)
{
    parse("apiVersion: v1\nkind: Config\n"
          "current-context: \"two\"\n"
          "clusters:\n"
          "- name: a\n  cluster:\n    server: https://a.example\n"
          "- name: b\n"
          "  cluster:\n"
          "    server: https://[::1]:6443/k8s/\n"
          "    certificate-authority: pki/ca.crt\n"
          "    tls-server-name: kubernetes\n"
          "    proxy-url: http://proxy:3128\n"
          "    insecure-skip-tls-verify: false\n"
          "contexts:\n"
          "- {name: one, context: {cluster: a, user: x}}\n"
          "- {name: two, context: {cluster: b, user: x, namespace: games}}\n"
          "users:\n"
          "- name: x\n"
          "  user:\n"
          "    client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t\n"
          "    client-key: /abs/key\n"
          "    token: abc\n"
          "    tokenFile: t\n");
    if (!ok(cfg, "a kubeconfig: %s", err)) {
        return;
    }
    is(cfg->server, "https://[::1]:6443/k8s", "server");
    is(cfg->host, "[::1]:6443", "host");
    is(cfg->path, "/k8s", "path");
    is(cfg->ca_file, "/etc/k/pki/ca.crt", "relative to the file");
    is(cfg->server_name, "kubernetes", "tls-server-name");
    is(cfg->proxy, "http://proxy:3128", "proxy-url");
    is(cfg->cert, "-----BEGIN CERTIFICATE-----", "base64");
    is(cfg->key_file, "/abs/key", "an absolute path");
    is(cfg->token, "abc", "token");
    is(cfg->token_file, "/etc/k/t", "tokenFile");
    is(cfg->ns, "games", "namespace");
    ok(cfg->exec == NULL, "no exec");
    parse_with("server: \"https://h\"", "");
    ok(cfg && strcmp(cfg->host, "h:443") == 0, "the port of https");
    ok(cfg && strcmp(cfg->ns, "default") == 0, "the namespace's default");
}

static void
plugin(void)
{
    static const char  v1[] = "apiVersion: client.authentication.k8s.io/v1";
    char               user[1024];

    snprintf(user, sizeof(user), "exec: {%s, command: ./bin/login, args: "
             "[-x, \"\"], env: [{name: A, value: 1}, {name: B}], installHint: "
             "get it, provideClusterInfo: true, interactiveMode: IfAvailable}",
             v1);
    parse_with("server: \"https://h\"", user);
    if (ok(cfg && cfg->exec, "exec: %s", err)) {
        is(cfg->exec->argv[0], "/etc/k/./bin/login", "beside its file");
        is(cfg->exec->argv[1], "-x", "an argument");
        is(cfg->exec->argv[2], "", "an empty one");
        ok(cfg->exec->argv[3] == NULL, "no more");
        is(cfg->exec->env[0], "A=1", "a variable");
        is(cfg->exec->env[1], "B=", "an empty one");
        ok(cfg->exec->env[2] == NULL, "no more");
        ok(cfg->exec->cluster_info, "provideClusterInfo");
        is(cfg->exec->install_hint, "get it", "installHint");
    }
    snprintf(user, sizeof(user), "token: t, exec: {%s, command: login}", v1);
    parse_with("server: \"https://h\"", user);
    ok(cfg && cfg->exec == NULL, "a token goes before exec");
    snprintf(user, sizeof(user), "exec: {%s, command: login}", v1);
    parse_with("server: \"https://h\"", user);
    ok(cfg && strcmp(cfg->exec->argv[0], "login") == 0, "from PATH");

    refused("server: \"https://h\"", "exec: {command: x}", "apiVersion");
    snprintf(user, sizeof(user), "exec: {%s}", v1);
    refused("server: \"https://h\"", user, "no command");
    snprintf(user, sizeof(user), "exec: {%s, command: x, interactiveMode: "
             "Always}", v1);
    refused("server: \"https://h\"", user, "person");
    snprintf(user, sizeof(user), "exec: {%s, command: x, env: [{value: 1}]}",
             v1);
    refused("server: \"https://h\"", user, "no name");
    snprintf(user, sizeof(user), "exec: {%s, command: x, args: y}", v1);
    refused("server: \"https://h\"", user, "args is no list");
}

static void
faults(void)
{
    refused("", "", "no server");
    refused("server: \"http://h\"", "", "https://");
    refused("server: \"https://\"", "", "no URL");
    refused("server: \"https://u@h\"", "", "no URL");
    refused("server: \"https://h:x\"", "", "no URL");
    refused("server: \"https://h:\"", "", "no URL");
    refused("server: \"https://h/a b\"", "", "no URL");
    refused("server: \"https://[::1\"", "", "no URL");
    refused("server: [h]", "", "server is no string");
    refused("server: \"https://h\", insecure-skip-tls-verify: true", "",
            "verified always");
    refused("server: \"https://h\", insecure-skip-tls-verify: maybe", "",
            "neither true nor false");
    refused("server: \"https://h\", proxy-url: ftp://x", "", "proxy-url");
    refused("server: \"https://h\", tls-server-name: \"a b\"", "",
            "no host name");
    refused("server: \"https://h\", certificate-authority-data: \"%%%%\"", "",
            "base64");
    refused("server: \"https://h\", certificate-authority-data: aGVsbG8=", "",
            "no PEM");
    refused("server: \"https://h\"", "username: x, password: y", "username");
    refused("server: \"https://h\"", "as: root", "as is not supported");
    refused("server: \"https://h\"", "client-certificate: x", "go together");
    refused("server: \"https://h\"", "token: \"a\\nb\"", "more than a line");

    parse(HEAD "clusters:\n- name: k\n  cluster:\n    server: [\n");
    ok(cfg == NULL && strncmp(err, "/etc/k/config:", 14) == 0,
       "no YAML: %s", err);
    parse("- 1\n- 2\n");
    ok(cfg == NULL && strstr(err, "no mapping"), "no mapping: %s", err);
    parse("");
    ok(cfg == NULL && strstr(err, "current-context"), "empty: %s", err);
    parse("current-context: x\ncontexts: []\n");
    ok(cfg == NULL && strstr(err, "no entry \"x\" in contexts"), "no such "
       "context: %s", err);
    parse("current-context: x\ncontexts: [{name: x}]\n");
    ok(cfg == NULL && strstr(err, "config:2: "), "an entry without a "
       "context: %s", err);
    parse(HEAD "clusters:\n- name: k\n  cluster:\n    server: https://h\n"
          "    insecure-skip-tls-verify: true\nusers: [{name: u, user: {}}]\n");
    ok(cfg == NULL && strstr(err, "config:9: "), "the line: %s", err);
}

static void
several(void)
{
    strcpy(dir, "/tmp/mchost-kubeconfig-XXXXXX");
    ok(mkdtemp(dir), "a directory");
    put("a", "clusters: [{name: k, cluster: {server: \"https://first\", "
        "certificate-authority: ca}}]\ncurrent-context: \"\"\n");
    put("b", HEAD "clusters: [{name: k, cluster: {server: \"https://second\"}"
        "}, {name: l, cluster: {server: \"https://other\"}}]\n"
        "users: [{name: u, user: {token: t}}]\n");
    put("c", "current-context: d\ncontexts: [{name: d, context: {cluster: l, "
        "user: u}}]\n");
    load("%s/a:%s/missing:%s/b", "");
    ok(cfg && strcmp(cfg->host, "first:443") == 0, "the first counts: %s",
       err);
    ok(cfg && strncmp(cfg->ca_file, dir, strlen(dir)) == 0, "its paths begin "
       "where it is");
    is(cfg ? cfg->token : NULL, "t", "the rest from the second");
    load("%s/a:%s/b::%s/c", "d");
    ok(cfg && strcmp(cfg->host, "other:443") == 0, "a context by name: %s",
       err);
    load("%s/a:%s/c", "");
    ok(cfg == NULL && strstr(err, "\"l\" in clusters"), "named nowhere: %s",
       err);
    load("%s/missing", "");
    ok(cfg == NULL && strstr(err, "no such kubeconfig"), "none is there: %s",
       err);
    load("%s", "");
    ok(cfg == NULL && strstr(err, "no file"), "a directory: %s", err);
}

static void
in_cluster(void)
{
    mc_kubeconfig_free(cfg);
    unsetenv("KUBERNETES_SERVICE_HOST");
    cfg = mc_kubeconfig_in_cluster(dir, err, sizeof(err));
    ok(cfg == NULL && strstr(err, "no pod"), "no pod: %s", err);
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    put("namespace", "games\n");
    cfg = mc_kubeconfig_in_cluster(dir, err, sizeof(err));
    if (ok(cfg, "in a pod: %s", err)) {
        is(cfg->server, "https://[fd00::1]:443", "server");
        is(cfg->ns, "games", "namespace");
        ok(strstr(cfg->token_file, "/token"), "token");
        ok(strstr(cfg->ca_file, "/ca.crt"), "ca.crt");
    }
}

static void
finding(void)
{
    char  path[128];

    snprintf(path, sizeof(path), "%s/.kube", dir);
    mkdir(path, 0700);
    put(".kube/config", HEAD "clusters: [{name: k, cluster: {server: "
        "\"https://home\"}}]\nusers: [{name: u, user: {}}]\n");
    setenv("HOME", dir, 1);
    unsetenv("KUBECONFIG");
    mc_kubeconfig_free(cfg);
    cfg = mc_kubeconfig_find("", "", err, sizeof(err));
    ok(cfg && strcmp(cfg->host, "home:443") == 0, "~/.kube/config: %s", err);
    snprintf(path, sizeof(path), "%s/b", dir);
    setenv("KUBECONFIG", path, 1);
    mc_kubeconfig_free(cfg);
    cfg = mc_kubeconfig_find(NULL, "", err, sizeof(err));
    ok(cfg && strcmp(cfg->host, "second:443") == 0, "KUBECONFIG: %s", err);
    unsetenv("KUBECONFIG");
    snprintf(path, sizeof(path), "%s/.kube/config", dir);
    unlink(path);
    mc_kubeconfig_free(cfg);
    cfg = mc_kubeconfig_find("", "", err, sizeof(err));
    ok(cfg && strcmp(cfg->host, "[fd00::1]:443") == 0, "in-cluster: %s", err);
    unsetenv("KUBERNETES_SERVICE_HOST");
    mc_kubeconfig_free(cfg);
    cfg = mc_kubeconfig_find("", "", err, sizeof(err));
    ok(cfg == NULL && strstr(err, "no kubeconfig"), "none: %s", err);
}

static void
sweep(void)
{
    static const char *const  names[] = { "a", "b", "c", "namespace" };
    char                      path[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/.kube", dir);
    rmdir(path);
    is_int(rmdir(dir), 0, "nothing left behind");
}

int
main(void)
{
    whole();
    plugin();
    faults();
    several();
    in_cluster();
    finding();
    mc_kubeconfig_free(cfg);
    sweep();
    return done_testing();
}
