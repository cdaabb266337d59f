/*
 * Where the Kubernetes API is and who we are there: from kubeconfig files, or
 * from the service account of the pod we run in. Only files are read here;
 * what has to be read again, or run, is kube_auth.h's.
 */

#ifndef MC_KUBECONFIG_H
#define MC_KUBECONFIG_H

#include <stdbool.h>
#include <stddef.h>

#define MC_KUBECONFIG_MAX  (4 * 1024 * 1024)    /* bytes of a file */

/* A program that prints credentials (an exec plugin). */
typedef struct {
    const char   *api_version;
    const char   *install_hint;     /* "" none */
    const char  **argv;             /* NULL at the end */
    const char  **env;              /* "NAME=value", NULL at the end */
    bool          cluster_info;     /* provideClusterInfo */
} mc_kubeconfig_exec_t;

/* One context. Strings are NULL when not set, but for ns; paths are absolute
 * or relative to the working directory. */
typedef struct {
    const char            *server;          /* "https://host:port/path" */
    const char            *host;            /* "host:port" of it */
    const char            *path;            /* of it, "" none; no "/" last */
    const char            *server_name;     /* tls-server-name */
    const char            *proxy;
    const char            *ca_file;
    const char            *ca;              /* PEM, goes before the file */
    const char            *cert_file;
    const char            *cert;
    const char            *key_file;
    const char            *key;
    const char            *token;
    const char            *token_file;
    mc_kubeconfig_exec_t  *exec;
    const char            *ns;              /* "default" when not set */
} mc_kubeconfig_t;

/* The context of that name ("": the current one) from files, with ":" between
 * them; what an earlier file names counts, missing files are passed over.
 * NULL and a sentence with file and line. Free with mc_kubeconfig_free(). */
mc_kubeconfig_t *mc_kubeconfig_load(const char *files, const char *context,
    char *err, size_t errlen);

/* The same from a text that is said to come from file. */
mc_kubeconfig_t *mc_kubeconfig_parse(const char *file, const char *text,
    size_t len, const char *context, char *err, size_t errlen);

/* From KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, and the service
 * account's files in dir (NULL: where the kubelet puts them). */
mc_kubeconfig_t *mc_kubeconfig_in_cluster(const char *dir, char *err,
    size_t errlen);

/* As kubectl looks for it: files when not "", else KUBECONFIG, else
 * ~/.kube/config, else in-cluster. */
mc_kubeconfig_t *mc_kubeconfig_find(const char *files, const char *context,
    char *err, size_t errlen);

void mc_kubeconfig_free(mc_kubeconfig_t *cfg);      /* NULL is fine */

/* The whole of a small file, NUL-terminated; free() it. NULL and a sentence.
 * Blocks. */
char *mc_kubeconfig_read_file(const char *file, size_t *len, char *err,
    size_t errlen);

#endif
