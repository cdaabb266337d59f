/*
 * A server as the reconciler knows it, and what an engine sees of it.
 */

#ifndef MC_SERVER_H
#define MC_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include "mc_json.h"
#include "mc_uuid.h"

/* What is wanted. */
typedef struct {
    char         tenant_id[MC_UUID_LEN + 1];
    char         id[MC_UUID_LEN + 1];
    char        *name;              /* DNS label, unique in its tenant */
    int64_t      generation;
    bool         gitops;            /* spec owner is not the database */
    bool         deleted;           /* tombstone */
    bool         purge;             /* the tombstone asks for the world too */
    mc_json_t   *spec;              /* with the schema's defaults */
} mc_server_t;

typedef enum {
    MC_POD_ABSENT,
    MC_POD_CREATED,                 /* exists, never ran or not yet */
    MC_POD_RUNNING,
    MC_POD_EXITED
} mc_pod_state_t;

/* What is there, as far as the engine tells. */
typedef struct {
    bool            volume;         /* the world's volume exists */
    bool            secret;
    mc_pod_state_t  pod;
    char            pod_hash[65];   /* annotation mchost.io/applied-hash */
    char            pod_restart[64];/* annotation mchost.io/restart-token */
    int             exit_code;
    bool            oom_killed;
    int64_t         started_ms;     /* Unix, 0: unknown */
    int64_t         finished_ms;
    char            host[64];       /* where players connect, "" unknown */
    uint16_t        port;
    char            rcon_host[64];  /* where RCON listens */
    uint16_t        rcon_port;
} mc_observed_t;

#endif
