/*
 * The settings: a file of lines "name value;" as in nginx, "#" begins a
 * comment. Every setting is also read from the environment, MCHOST_ and its
 * name in upper case, which wins over the file.
 */

#ifndef MC_CONFIG_H
#define MC_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char     *database_url;         /* libpq conninfo or URI, "" none */
    char     *migrate_url;          /* the owner's; "" unset */
    char     *redis_url;            /* unix:/path or redis://host:port, "" none */
    char     *redis_user;           /* "" unset */
    char     *redis_password;       /* "" unset */
    char     *redis_prefix;
    char     *engine;               /* "podman", "kubernetes" */
    char     *podman_socket;
    char     *podman_network;
    char     *kubeconfig;           /* files, ":" between them; "": in-cluster */
    char     *kube_context;         /* "": the current one */
    char     *kube_namespace;       /* "": all */
    char     *kube_namespace_prefix;
    int64_t   kube_qps;
    int64_t   kube_burst;
    char     *secret_file;
    char     *demo_image;
    char     *game_address;
    int64_t   game_port_first;
    int64_t   game_port_last;
    char     *admin_host;
    int64_t   admin_port;           /* 0: no admin listener */
    int64_t   log_level;            /* mc_log_level_t */
    int64_t   log_lines;            /* kept in a server's stream */
    int64_t   poll_ms;
    int64_t   resync_ms;
    int64_t   ping_ms;
    int64_t   start_timeout_ms;
    int64_t   workers;
} mc_config_t;

/* Defaults, then file (NULL: none), then the environment (as in environ). With
 * engine "kubernetes" and no kubeconfig the files are those that kubectl takes:
 * KUBECONFIG, then .kube/config in HOME if there is one.
 * 0, or -1 and in err one sentence with file, line and what to do. What was
 * read must be freed in both cases. */
int mc_config_load(mc_config_t *conf, const char *file, char **environment,
    char *err, size_t errlen);

/* Whether servers run on Kubernetes. */
bool mc_config_on_kubernetes(const mc_config_t *conf);

/* Frees, and wipes what may hold a password. */
void mc_config_free(mc_config_t *conf);

#endif
