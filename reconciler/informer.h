/*
 * A cache of the objects of one type: a paged list, then a watch from there,
 * for ever. It is kept by namespace and name; the values are the user's.
 *
 * Bookmarks move the place to resume from; a stream that ends, is cut, or is
 * silent past its time is opened again from there; 410 (as an answer or as an
 * event) leads to another list. What a list holds is taken over as it comes,
 * what it does not hold is gone() only, and at once, when it is complete: an
 * interrupted list takes nothing away. Failures back off from 800 ms to 30 s
 * with jitter. A long list is read in slices of 2 ms.
 */

#ifndef MC_INFORMER_H
#define MC_INFORMER_H

#include "kube.h"
#include "kube_object.h"

typedef struct mc_informer_s  mc_informer_t;

typedef struct {
    const mc_kube_type_t  *type;
    const char            *ns;          /* "": all namespaces */
    const char            *selector;    /* labelSelector, "" none */
    unsigned               page;        /* objects per page; 0: 500 */
    int64_t                compare_ms;  /* a full list so often; 0: 30 min */
    unsigned               watch_s;     /* one watch; 0: 240 to 290 s */

    /* An object was listed or changed. old is the value kept for it so far,
     * NULL: a new one. Returns the value to keep from now on (old itself, or
     * another one, then old is freed by put), NULL to keep none. During a
     * relist it is called for unchanged ones too: `changed` is false when the
     * resourceVersion is the one that old was made from. */
    void *(*put)(void *data, void *old, const mc_kube_meta_t *meta,
        const char *text, size_t len, bool changed);

    /* The object is gone; the value is to be freed here. */
    void  (*gone)(void *data, void *value);

    /* The first list is complete. Called once. */
    void  (*synced)(void *data);
    void   *data;
} mc_informer_conf_t;

/* Starts listing. conf is copied, its strings must live on. NULL: no memory. */
mc_informer_t *mc_informer_create(mc_kube_t *kube, uv_loop_t *loop,
    const mc_informer_conf_t *conf);

/* gone() is called for every value. The loop must run on. Not from within a
 * callback of the same informer. */
void mc_informer_destroy(mc_informer_t *inf);

bool mc_informer_synced(const mc_informer_t *inf);

/* The value kept for an object, or NULL. */
void *mc_informer_get(const mc_informer_t *inf, const char *ns,
    const char *name);
void mc_informer_each(mc_informer_t *inf,
    void (*visit)(void *value, void *data), void *data);
size_t mc_informer_size(const mc_informer_t *inf);

/* The answer to a write of our own: taken over like an event, unless the
 * cache is ahead of it already. So the next decision sees it. */
void mc_informer_wrote(mc_informer_t *inf, const char *text, size_t len);
/* The same for an object that a request found to be gone (404), by uid. */
void mc_informer_lost(mc_informer_t *inf, const char *ns, const char *name,
    const char *uid);

typedef struct {
    uint64_t  events, lists, relists_gone, relists_compare, cuts, errors;
    int64_t   age_ms;                   /* since the last sign of life */
} mc_informer_stats_t;
void mc_informer_stats(const mc_informer_t *inf, mc_informer_stats_t *stats);

#endif
