/*
 * The engine of one machine: Podman's REST API on a Unix socket.
 */

#ifndef MC_ENGINE_PODMAN_H
#define MC_ENGINE_PODMAN_H

#include <uv.h>
#include "engine.h"

typedef struct {
    const char  *socket;        /* path of the API's Unix socket */
    const char  *demo_image;    /* "localhost/mchost-demo:1.0.0" */
    const char  *game_address;  /* address of this machine that games bind */
    uint16_t     port_first;    /* their ports, both ends included */
    uint16_t     port_last;
    const char  *network;       /* the pods' network: this, "-" and a hash of
                                 * the socket's path; NULL: "mchost" */
} mc_podman_conf_t;

/* conf is copied. A pod in state MC_POD_CREATED is what is left of a creation
 * that was cut short: remove it and create it again. hint comes from the loop when Podman reports an event of
 * one of our pods, and with NULL when events may have been missed (connected
 * anew). The secret must be loaded (secret.h). NULL when memory is out. */
mc_engine_t *mc_engine_podman_create(uv_loop_t *loop,
    const mc_podman_conf_t *conf, mc_engine_hint_pt hint, void *data);

#endif
