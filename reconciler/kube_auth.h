/*
 * Credentials of a kubeconfig as they are now: files are read again every
 * minute, in a thread, by path (the kubelet swaps a symlink); a plugin runs
 * again a minute before what it gave expires.
 */

#ifndef MC_KUBE_AUTH_H
#define MC_KUBE_AUTH_H

#include <uv.h>
#include "http.h"
#include "kubeconfig.h"

typedef struct mc_kube_auth_s  mc_kube_auth_t;

typedef enum {
    MC_KUBE_AUTH_READY,
    MC_KUBE_AUTH_BUSY,          /* none yet; changed() will come */
    MC_KUBE_AUTH_FAILED         /* none, mc_kube_auth_error() says why */
} mc_kube_auth_state_t;

/* Takes cfg over, also when it fails: NULL and a sentence when a file cannot
 * be read. changed() comes from the loop when there are other credentials,
 * and when getting some has failed. A plugin is started at once. */
mc_kube_auth_t *mc_kube_auth_create(uv_loop_t *loop, mc_kubeconfig_t *cfg,
    void (*changed)(void *data), void *data, char *err, size_t errlen);

/* changed() does not come any more. */
void mc_kube_auth_destroy(mc_kube_auth_t *auth);

mc_kube_auth_state_t mc_kube_auth_state(const mc_kube_auth_t *auth);
const char *mc_kube_auth_error(const mc_kube_auth_t *auth);

/* Goes up with every change. */
unsigned mc_kube_auth_version(const mc_kube_auth_t *auth);

/* The bearer token, NULL: none; and the TLS material. They belong to auth and
 * are valid until it changes. */
const char *mc_kube_auth_token(const mc_kube_auth_t *auth);
void mc_kube_auth_tls(const mc_kube_auth_t *auth, mc_http_tls_t *tls);

/* Those of this version were refused: gets fresh ones, unless that is under
 * way or they are newer already. True when changed() will come, false when
 * nothing fresh is to be had (now). */
bool mc_kube_auth_renew(mc_kube_auth_t *auth, unsigned version);

#endif
