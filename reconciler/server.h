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
    bool         kill;              /* stops without time to save */
    const char  *ns;                /* its namespace in Kubernetes, "" elsewhere */
    const char  *uid;               /* of its MinecraftServer when gitops, "" */
    mc_json_t   *spec;              /* with the schema's defaults */
} mc_server_t;

typedef enum {
    MC_POD_ABSENT,
    MC_POD_CREATED,                 /* exists, never ran or not yet */
    MC_POD_PENDING,                 /* will run without our doing, or says in
                                     * trouble why it does not */
    MC_POD_RUNNING,
    MC_POD_STOPPING,                /* was told to end: to be waited for */
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
    char            ping_host[64];  /* where the game answers status pings, "":
                                     * where players connect */
    uint16_t        ping_port;

    /* An engine that keeps a pod running by itself: an ended game is started
     * again at once, so a stop is the engine's, never the console's. */
    bool            self_healing;
    unsigned        restarts;       /* that the engine did to this pod */
    char            claim[64];      /* the volume's name, "" unknown */
    char            capacity[32];   /* its size in fact, "" unknown */

    /* What is wrong, in a person's words; reason "" when nothing is. */
    struct {
        char  reason[48];
        char  message[400];
    } trouble, storage_trouble;

    /* Of Kubernetes. The resource is the server's MinecraftServer. */
    bool            resource;
    bool            resource_deleting;
    bool            resource_stale; /* missing, without finalizer, or not what
                                     * the row says: ENSURE_RESOURCE */
    bool            stale;          /* an object beside the pod is missing or
                                     * not as wanted: APPLY mends it without a
                                     * restart */
    char            stale_what[96]; /* which, and where, for the log */
    bool            resize;         /* CPU can be changed while it runs, and
                                     * has to be: RESIZE */
    bool            paused;         /* annotation mchost.io/paused */
} mc_observed_t;

#endif
