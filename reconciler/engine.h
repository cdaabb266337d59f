/*
 * An engine runs one server's pod and keeps its world: Podman on one machine,
 * Kubernetes on many. Both are handed the same objects (manifest_*.c).
 *
 * Every operation is asynchronous, idempotent and about one server; at most
 * one is under way for a server at a time (the workqueue sees to it). The
 * callback is called exactly once, from the loop, never from within the call.
 */

#ifndef MC_ENGINE_H
#define MC_ENGINE_H

#include <stddef.h>
#include "server.h"

typedef struct mc_engine_s  mc_engine_t;

/* Why an operation failed. reason is a CamelCase word for a condition
 * ("ImagePullFailed", "EngineUnavailable", "PortInUse", "DiskFull", …),
 * message a sentence for a person. retry false: only a changed spec helps. */
typedef struct {
    char  reason[48];
    char  message[400];
    bool  retry;
} mc_engine_error_t;

/* err is NULL on success. Both pointers are valid during the call only. */
typedef void (*mc_engine_done_pt)(void *data, const mc_engine_error_t *err);
typedef void (*mc_engine_observed_pt)(void *data, const mc_observed_t *obs,
    const mc_engine_error_t *err);

/* What a running pod needs. */
typedef struct {
    int64_t  cpu_ns;                /* since its start */
    int64_t  memory_bytes;
} mc_usage_t;

typedef void (*mc_engine_usage_pt)(void *data, const mc_usage_t *usage,
    const mc_engine_error_t *err);

/* What the console answered; output is NULL when err is not. */
typedef void (*mc_engine_output_pt)(void *data, const char *output, size_t len,
    const mc_engine_error_t *err);

/* One line of the game's output, in order. time is RFC 3339 with nanoseconds;
 * after a reconnect lines later than the last one seen follow. */
typedef void (*mc_engine_line_pt)(void *data, const char *time,
    const char *stream, const char *line, size_t len);

typedef struct mc_engine_log_s  mc_engine_log_t;

/* Something happened to a server: look at it. id NULL: look at all. */
typedef void (*mc_engine_hint_pt)(void *data, const char *server_id);

typedef struct {
    const char  *name;              /* "podman" */

    void (*observe)(mc_engine_t *e, const mc_server_t *s,
        mc_engine_observed_pt cb, void *data);

    /* The world's volume and the RCON secret; existing ones stay as they are. */
    void (*ensure_storage)(mc_engine_t *e, const mc_server_t *s,
        mc_engine_done_pt cb, void *data);

    /* Creates the pod (none may exist) from the manifests and starts it. A
     * failed start leaves nothing behind but volume and secret. */
    void (*create)(mc_engine_t *e, const mc_server_t *s,
        mc_engine_done_pt cb, void *data);

    /* Starts an existing, exited pod again. */
    void (*start)(mc_engine_t *e, const mc_server_t *s,
        mc_engine_done_pt cb, void *data);

    /* TERM, and KILL after grace seconds (0: KILL at once). The pod stays. */
    void (*stop)(mc_engine_t *e, const mc_server_t *s, int grace,
        mc_engine_done_pt cb, void *data);

    /* Removes the pod and its configuration, not volume and secret. Works from
     * the ids alone; absent is success. */
    void (*remove)(mc_engine_t *e, const mc_server_t *s,
        mc_engine_done_pt cb, void *data);

    /* Removes secret, and the volume when world is set. */
    void (*remove_storage)(mc_engine_t *e, const mc_server_t *s, bool world,
        mc_engine_done_pt cb, void *data);

    /* From here to console: NULL where the engine has no such thing. */

    /* The server's MinecraftServer: brings it in line with the row, or, when
     * it is its own source, sets the finalizer. */
    void (*ensure_resource)(mc_engine_t *e, const mc_server_t *s,
        mc_engine_done_pt cb, void *data);

    /* Takes the finalizer away; deletes the resource as well when the row's
     * tombstone says so. Absent is success. */
    void (*remove_resource)(mc_engine_t *e, const mc_server_t *s,
        mc_engine_done_pt cb, void *data);

    /* Brings everything beside the running pod in line with the spec. */
    void (*apply)(mc_engine_t *e, const mc_server_t *s,
        mc_engine_done_pt cb, void *data);

    /* The running pod's CPU. */
    void (*resize)(mc_engine_t *e, const mc_server_t *s,
        mc_engine_done_pt cb, void *data);

    /* Shows the status where the engine's users look for it. */
    void (*publish_status)(mc_engine_t *e, const mc_server_t *s,
        const mc_json_t *status, mc_engine_done_pt cb, void *data);

    /* Tells people that something happened; best effort, no answer. reason is
     * CamelCase, repeated ones are counted instead of repeated. */
    void (*event)(mc_engine_t *e, const mc_server_t *s, bool warning,
        const char *reason, const char *message);

    /* Runs a console command inside the pod, where RCON cannot be reached from
     * here. */
    void (*console)(mc_engine_t *e, const mc_server_t *s, const char *command,
        mc_engine_output_pt cb, void *data);

    /* Follows the pod's output from after `since` ("" = from its start) until
     * log_stop() or its end; then line is called once with stream NULL. */
    mc_engine_log_t *(*log_follow)(mc_engine_t *e, const mc_server_t *s,
        const char *since, mc_engine_line_pt line, void *data);
    void (*log_stop)(mc_engine_log_t *log);

    /* What the running pod needs; beside whatever else is under way for the
     * server. NULL: the engine cannot tell. */
    void (*usage)(mc_engine_t *e, const mc_server_t *s, mc_engine_usage_pt cb,
        void *data);

    /* 1 when the engine's API answered lately. */
    bool (*ready)(mc_engine_t *e);
    void (*destroy)(mc_engine_t *e);
} mc_engine_ops_t;

struct mc_engine_s {
    const mc_engine_ops_t  *ops;
};

/* The hash that mc_observed_t.pod_hash is compared with: of everything in the
 * spec that only a new pod can take over: not restartToken, not what the
 * console can change (hot.h), and in Kubernetes not the CPU, which can be
 * resized. */
void mc_engine_desired_hash(const mc_server_t *s, char hash[65]);

/* The same, in the form that pod_hash has: a pod from before difficulty, game
 * mode and access lists were left out is not restarted for that alone. */
void mc_engine_desired_hash_for(const mc_server_t *s, const char *pod_hash,
    char hash[65]);

/* The RCON password of a server, made from the installation's secret with
 * HMAC-SHA-256 over the server's id: nothing to store, nothing to show. */
void mc_rcon_password(const char *server_id, char password[65]);

#endif
