/*
 * The text of lists and watches: where one object ends and the next begins.
 * Nothing is copied and nothing is understood beyond that; what is inside of
 * an object is for whoever gets it to parse. Pure.
 */

#ifndef MC_KUBE_WATCH_H
#define MC_KUBE_WATCH_H

#include <stdbool.h>
#include <stddef.h>

/* -- JSON, skimmed -- */

typedef struct {
    const char  *p;
    const char  *end;
    bool         begun;
} mc_kube_cursor_t;

typedef struct {
    const char  *p;
    size_t       len;
} mc_kube_span_t;

/* The next member of the object that the cursor stood before; key without
 * quotes and not decoded, value as written. 1; 0 at the end, when the cursor
 * stands behind the object; -1 when this is no object. */
int mc_kube_next_member(mc_kube_cursor_t *c, mc_kube_span_t *key,
    mc_kube_span_t *value);

/* The same in two steps: the key, and then the value, or instead of it, when it
 * is a list, its elements with a cursor that begins at c->p, whose p at its end
 * becomes c->p. So a long list is not gone through twice. */
int mc_kube_next_key(mc_kube_cursor_t *c, mc_kube_span_t *key);
int mc_kube_value(mc_kube_cursor_t *c, mc_kube_span_t *value);

/* The same as mc_kube_next_member(), of a list. */
int mc_kube_next_element(mc_kube_cursor_t *c, mc_kube_span_t *value);

bool mc_kube_span_is(mc_kube_span_t span, const char *s);

/* -- a watch -- */

/* A longer line cannot be an event. */
#define MC_KUBE_LINE_MAX  (4 * 1024 * 1024)

typedef enum {
    MC_KUBE_ADDED, MC_KUBE_MODIFIED, MC_KUBE_DELETED, MC_KUBE_BOOKMARK,
    MC_KUBE_ERROR
} mc_kube_event_t;

typedef enum {
    MC_KUBE_WATCH_OK,
    MC_KUBE_WATCH_STOPPED,          /* event() wants no more */
    MC_KUBE_WATCH_BROKEN,           /* a line that is no event */
    MC_KUBE_WATCH_TOO_LONG,
    MC_KUBE_WATCH_NO_MEMORY
} mc_kube_watch_result_t;

typedef struct {
    /* An event and the text of its object; anything but 0 ends it. */
    int    (*event)(void *data, mc_kube_event_t type, const char *object,
        size_t len);
    void    *data;
    char    *line;                  /* what there is of the next one */
    size_t   len, size;
} mc_kube_watch_t;

/* Takes bytes of the stream, cut anywhere. After anything but OK the stream is
 * of no more use: mc_kube_watch_reset(). */
mc_kube_watch_result_t mc_kube_watch_feed(mc_kube_watch_t *w, const char *p,
    size_t len);

/* Before another stream, and at the end: forgets and frees what is there. */
void mc_kube_watch_reset(mc_kube_watch_t *w);

#endif
