/*
 * The cache of an informer. Versions decide what is newer; only a list is
 * believed whatever its versions are (a cluster restored from a backup counts
 * from further back), except where a write of our own came after it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "informer_private.h"

typedef struct {
    void      *value;
    uint64_t   listed;                  /* list_no that it was last in */
    uint64_t   wrote;                   /* list_no when we last wrote it */
    char       version[VERSION_LEN + 1];
    char       uid[MC_UUID_LEN + 1];
    char       key[];                   /* "namespace/name" */
} entry_t;


void
mc_informer_set_version(char dst[VERSION_LEN + 1], const char *version)
{
    size_t  len = strlen(version);

    if (len > VERSION_LEN) {
        len = 0;
    }
    memcpy(dst, version, len);
    dst[len] = '\0';
}


/* Names are at most 63 and 253 bytes long, so says the API. */
typedef struct {
    char  text[320];
} table_key_t;


static entry_t *
find(const mc_informer_t *inf, const char *ns, const char *name,
    table_key_t *key)
{
    int  n = snprintf(key->text, sizeof(key->text), "%s/%s", ns, name);

    if (n < 0 || (size_t) n >= sizeof(key->text)) {
        key->text[0] = '\0';
        return NULL;
    }
    return mc_map_get(inf->table, key->text);
}


static entry_t *
add(mc_informer_t *inf, const table_key_t *key)
{
    size_t    len = strlen(key->text) + 1;
    entry_t  *e = calloc(1, sizeof(*e) + len);

    if (e == NULL) {
        return NULL;
    }
    memcpy(e->key, key->text, len);
    if (mc_map_put(inf->table, e->key, e) != 0) {
        free(e);
        return NULL;
    }
    return e;
}


static void
drop(mc_informer_t *inf, entry_t *e)
{
    mc_map_remove(inf->table, e->key);
    inf->conf.gone(inf->conf.data, e->value);
    free(e);
}


/* What put() makes of an object becomes its value. 0, or -1: no memory. */
static int
put(mc_informer_t *inf, entry_t *e, const table_key_t *key,
    const mc_kube_meta_t *meta, const char *text, size_t len, bool listed)
{
    bool  changed = e == NULL || strcmp(e->version, meta->version) != 0
                    || meta->version[0] == '\0';
    void *value;

    if (e && e->uid[0] && strcmp(e->uid, meta->uid) != 0) {
        drop(inf, e);                   /* another one of that name */
        e = NULL;
    }
    value = inf->conf.put(inf->conf.data, e ? e->value : NULL, meta, text, len,
                          changed);
    if (value == NULL) {
        if (e) {
            mc_map_remove(inf->table, e->key);
            free(e);
        }
        return 0;
    }
    if (e == NULL) {
        e = add(inf, key);
        if (e == NULL) {
            inf->conf.gone(inf->conf.data, value);
            return -1;
        }
    }
    e->value = value;
    if (listed) {
        e->listed = inf->list_no;
    }
    mc_informer_set_version(e->version, meta->version);
    snprintf(e->uid, sizeof(e->uid), "%s", meta->uid);
    return 0;
}


int
mc_informer_listed(mc_informer_t *inf, const char *text, size_t len)
{
    mc_kube_object_t  *obj = mc_kube_object_meta(text, len);
    entry_t           *e;
    table_key_t         key = { "" };
    int                rc = -1;

    if (obj == NULL) {
        return -1;
    }
    e = find(inf, obj->meta.ns, obj->meta.name, &key);
    if (key.text[0] && obj->meta.name[0]) {
        if (e && e->wrote == inf->list_no
            && mc_kube_version_cmp(e->version, obj->meta.version) > 0)
        {
            e->listed = inf->list_no;
            rc = 0;
        } else {
            rc = put(inf, e, &key, &obj->meta, text, len, true);
        }
    }
    mc_kube_object_free(obj);
    return rc;
}


int
mc_informer_event(mc_informer_t *inf, bool deleted, const mc_kube_meta_t *meta,
    const char *text, size_t len)
{
    table_key_t  key = { "" };
    entry_t  *e = find(inf, meta->ns, meta->name, &key);

    if (key.text[0] == '\0' || meta->name[0] == '\0') {
        return -1;
    }
    if (e && mc_kube_version_cmp(e->version, meta->version) >= 0) {
        return 0;                       /* older than what we wrote */
    }
    if (deleted) {
        if (e) {
            drop(inf, e);
        }
        return 0;
    }
    return put(inf, e, &key, meta, text, len, false);
}


/* -- all of them -- */

static void
sweep_one(void *value, void *data)
{
    mc_informer_t  *inf = data;
    entry_t        *e = value;

    if (e->listed == inf->list_no
        || (e->wrote == inf->list_no
            && mc_kube_version_cmp(e->version, inf->list_version) > 0))
    {
        return;
    }
    drop(inf, e);
}


void
mc_informer_sweep(mc_informer_t *inf)
{
    mc_map_each(inf->table, sweep_one, inf);
}


static void
clear_one(void *value, void *data)
{
    drop(data, value);
}


void
mc_informer_clear(mc_informer_t *inf)
{
    mc_map_each(inf->table, clear_one, inf);
}


/* -- for the owner -- */

void *
mc_informer_get(const mc_informer_t *inf, const char *ns, const char *name)
{
    table_key_t  key = { "" };
    entry_t  *e = find(inf, ns, name, &key);

    return e ? e->value : NULL;
}


typedef struct {
    void  (*visit)(void *value, void *data);
    void   *data;
} visitor_t;


static void
visit_one(void *value, void *data)
{
    visitor_t  *v = data;

    v->visit(((entry_t *) value)->value, v->data);
}


void
mc_informer_each(mc_informer_t *inf, void (*visit)(void *value, void *data),
    void *data)
{
    visitor_t  v = { visit, data };

    mc_map_each(inf->table, visit_one, &v);
}


size_t
mc_informer_size(const mc_informer_t *inf)
{
    return mc_map_size(inf->table);
}


/* What the watch has passed already is known, also that it is gone again. */
void
mc_informer_wrote(mc_informer_t *inf, const char *text, size_t len)
{
    mc_kube_object_t  *obj = mc_kube_object_meta(text, len);
    entry_t           *e;
    table_key_t         key = { "" };

    if (obj == NULL) {
        return;
    }
    if (inf->version[0] == '\0'
        || mc_kube_version_cmp(obj->meta.version, inf->version) > 0)
    {
        (void) mc_informer_event(inf, false, &obj->meta, text, len);
    }
    e = find(inf, obj->meta.ns, obj->meta.name, &key);
    if (e && strcmp(e->version, obj->meta.version) == 0) {
        e->wrote = inf->list_no;
    }
    mc_kube_object_free(obj);
}


void
mc_informer_lost(mc_informer_t *inf, const char *ns, const char *name,
    const char *uid)
{
    table_key_t  key = { "" };
    entry_t  *e = find(inf, ns, name, &key);

    if (e && strcmp(e->uid, uid) == 0) {
        drop(inf, e);
    }
}
