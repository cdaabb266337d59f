/*
 * Shared by informer.c, which asks the API, and informer_table.c, which keeps
 * what it says.
 */

#ifndef MC_INFORMER_PRIVATE_H
#define MC_INFORMER_PRIVATE_H

#include "informer.h"
#include "kube_watch.h"
#include "map.h"

#define VERSION_LEN  31

typedef enum { LISTING, READING, WATCHING, WAITING } informer_state_t;

struct mc_informer_s {
    mc_informer_conf_t    conf;
    mc_kube_t            *kube;
    uv_loop_t            *loop;
    uv_timer_t            timer;            /* the next try */
    uv_timer_t            compare;
    uv_idle_t             idle;             /* the next slice of a list */
    unsigned              handles;

    mc_map_t             *table;            /* of entry_t by "ns/name" */
    informer_state_t      state;
    bool                  synced;
    bool                  list_next;        /* the next try is a list */
    mc_kube_req_t        *req;

    /* the list being read */
    uint64_t              list_no;          /* counted from 1 */
    char                 *page;             /* text */
    mc_kube_cursor_t      top, items;
    bool                  in_items;
    char                 *next_page;        /* continue token, escaped */
    char                  list_version[VERSION_LEN + 1];

    /* the watch */
    mc_kube_watch_t       watch;
    mc_kube_watch_result_t  result;
    char                  version[VERSION_LEN + 1];     /* seen up to here */
    bool                  expired;          /* an ERROR event said so */
    uint64_t              begun;            /* loop time */
    uint64_t              events_before;

    unsigned              failures;         /* in a row */
    uint64_t              retry_ms, failed_at, alive_at;
    mc_informer_stats_t   stats;
};

/* Takes an object over: of a list, of an event or of a write. 0, or -1 when
 * it is no object or memory is out. */
int mc_informer_listed(mc_informer_t *inf, const char *text, size_t len);
int mc_informer_event(mc_informer_t *inf, bool deleted,
    const mc_kube_meta_t *meta, const char *text, size_t len);

/* The list is complete: what it does not hold is gone. */
void mc_informer_sweep(mc_informer_t *inf);

/* Everything is gone. */
void mc_informer_clear(mc_informer_t *inf);

/* Stores a resourceVersion; one that is absurdly long becomes "". */
void mc_informer_set_version(char dst[VERSION_LEN + 1], const char *version);

#endif
