/*
 * Exec plugins of a kubeconfig: a program run on the loop that prints an
 * ExecCredential (client.authentication.k8s.io).
 */

#ifndef MC_KUBE_PLUGIN_H
#define MC_KUBE_PLUGIN_H

#include <stdint.h>
#include <uv.h>
#include "kubeconfig.h"

typedef struct mc_kube_plugin_s  mc_kube_plugin_t;

/* Strings are NULL when not given, and valid during the callback only. */
typedef struct {
    const char  *token;
    const char  *cert;          /* PEM, with key */
    const char  *key;
    int64_t      expires_ms;    /* Unix, 0: never */
} mc_kube_credential_t;

/* cred NULL: there are none, and error says why. Called once, from the loop. */
typedef void (*mc_kube_plugin_pt)(void *data, const mc_kube_credential_t *cred,
    const char *error);

/* cfg must live until the callback; ca is the PEM text for clusterInfo, or
 * NULL. The program is killed after timeout_ms. NULL and a sentence when it
 * cannot be started. */
mc_kube_plugin_t *mc_kube_plugin_run(uv_loop_t *loop,
    const mc_kubeconfig_t *cfg, const char *ca, unsigned timeout_ms,
    mc_kube_plugin_pt done, void *data, char *err, size_t errlen);

/* Kills it; no callback comes. */
void mc_kube_plugin_cancel(mc_kube_plugin_t *plugin);

/* Reads what a plugin printed: 0, or -1 and a sentence. Strings belong to the
 * arena. */
struct mc_arena_s;
int mc_kube_plugin_parse(struct mc_arena_s *arena, const char *api_version,
    const char *text, size_t len, mc_kube_credential_t *cred, char *err,
    size_t errlen);

#endif
