/*
 * A streaming parser with a table of the places it wants: what is at none of
 * them is passed over without a copy. Elements of lists are gathered in a
 * scratch of their own, since the member that says which one it is may come
 * last.
 */

#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>
#include "clock.h"
#include "kube_object.h"
#include "manifest.h"

#define PATH_MAX_LEN  256
#define DEPTH         16

/* One element of a list; strings are places in parser_t.text, 0: none. */
typedef struct {
    size_t   id;                        /* name, type */
    size_t   status, reason, message;   /* of conditions */
    size_t   host, ip;
    char     uid[MC_UUID_LEN + 1];
    bool     controller;
    int64_t  port;
    bool     running, started, now_terminated, was_terminated;
    int64_t  started_ms;
    size_t   waiting_reason, waiting_message;
    int64_t  restarts;
    size_t   cpu;
    struct {
        int64_t  code;
        int64_t  finished_ms;
        size_t   reason, message;
    } now, was;
} element_t;

typedef struct {
    mc_kube_object_t  obj;              /* its strings are places, too */
    char              managed_by[16];
    int64_t           restarts;
    element_t         element;
    char             *text;             /* begins with an empty string */
    size_t            len, size;
    char              path[PATH_MAX_LEN];
    size_t            path_len;
    size_t            outer[DEPTH];     /* lengths of path around it */
    bool              list[DEPTH];
    unsigned          depth;
    unsigned          skip;             /* levels inside what nobody wants */
    bool              meta_only, meta_done;
} parser_t;

typedef enum {
    STRING, FIXED, INT, BOOL, TIME, PRESENT
} kind_t;

typedef struct {
    const char  *path;                  /* ">" between keys, "[]" in a list */
    kind_t       kind;
    size_t       at;                    /* in the parser */
    size_t       size;                  /* of a FIXED one */
} place_t;

#define OBJ(m)       offsetof(parser_t, obj.m)
#define ELEM(m)      offsetof(parser_t, element.m)
#define FIX(m)       OBJ(m), sizeof(((mc_kube_object_t *) 0)->m)
#define META         "metadata>"
#define LABEL        "metadata>labels>"
#define NOTE         "metadata>annotations>"
#define STATES       "status>containerStatuses[]>"
#define INITS        "status>initContainerStatuses[]>"
#define CONDITION    "status>conditions[]>"

static const place_t  places[] = {
    { META "name", STRING, OBJ(meta.name), 0 },
    { META "namespace", STRING, OBJ(meta.ns), 0 },
    { META "uid", FIXED, FIX(meta.uid) },
    { META "resourceVersion", STRING, OBJ(meta.version), 0 },
    { META "generation", INT, OBJ(meta.generation), 0 },
    { META "deletionTimestamp", PRESENT, OBJ(meta.deleting), 0 },
    { META "ownerReferences[]>uid", FIXED, ELEM(uid), MC_UUID_LEN + 1 },
    { META "ownerReferences[]>controller", BOOL, ELEM(controller), 0 },
    { LABEL "app.kubernetes.io/managed-by", FIXED,
      offsetof(parser_t, managed_by), 16 },
    { LABEL MC_LABEL_SERVER, FIXED, FIX(meta.server_id) },
    { LABEL MC_LABEL_TENANT, FIXED, FIX(meta.tenant_id) },
    { NOTE MC_ANNOTATION_HASH, FIXED, FIX(meta.applied_hash) },
    { NOTE MC_ANNOTATION_RESTART, FIXED, FIX(meta.restart) },

    { "status>phase", STRING, OBJ(pod.phase), 0 },
    { "status>podIP", STRING, OBJ(pod.ip), 0 },
    { "status>hostIP", STRING, OBJ(pod.host_ip), 0 },
    { "spec>nodeName", STRING, OBJ(pod.node), 0 },
    { "status>reason", STRING, OBJ(pod.reason), 0 },
    { "status>message", STRING, OBJ(pod.message), 0 },
    { CONDITION "type", STRING, ELEM(id), 0 },
    { CONDITION "status", STRING, ELEM(status), 0 },
    { CONDITION "reason", STRING, ELEM(reason), 0 },
    { CONDITION "message", STRING, ELEM(message), 0 },
    { STATES "name", STRING, ELEM(id), 0 },
    { STATES "started", BOOL, ELEM(started), 0 },
    { STATES "restartCount", INT, ELEM(restarts), 0 },
    { STATES "state>running", PRESENT, ELEM(running), 0 },
    { STATES "state>running>startedAt", TIME, ELEM(started_ms), 0 },
    { STATES "state>waiting>reason", STRING, ELEM(waiting_reason), 0 },
    { STATES "state>waiting>message", STRING, ELEM(waiting_message), 0 },
    { STATES "state>terminated", PRESENT, ELEM(now_terminated), 0 },
    { STATES "state>terminated>exitCode", INT, ELEM(now.code), 0 },
    { STATES "state>terminated>finishedAt", TIME, ELEM(now.finished_ms), 0 },
    { STATES "state>terminated>reason", STRING, ELEM(now.reason), 0 },
    { STATES "lastState>terminated", PRESENT, ELEM(was_terminated), 0 },
    { STATES "lastState>terminated>exitCode", INT, ELEM(was.code), 0 },
    { STATES "lastState>terminated>finishedAt", TIME,
      ELEM(was.finished_ms), 0 },
    { STATES "lastState>terminated>reason", STRING, ELEM(was.reason), 0 },
    { STATES "resources>limits>cpu", STRING, ELEM(cpu), 0 },
    { INITS "name", STRING, ELEM(id), 0 },
    { INITS "state>waiting>reason", STRING, ELEM(waiting_reason), 0 },
    { INITS "state>waiting>message", STRING, ELEM(waiting_message), 0 },
    { INITS "state>terminated", PRESENT, ELEM(now_terminated), 0 },
    { INITS "state>terminated>exitCode", INT, ELEM(now.code), 0 },
    { INITS "state>terminated>reason", STRING, ELEM(now.reason), 0 },
    { INITS "state>terminated>message", STRING, ELEM(now.message), 0 },
    { INITS "lastState>terminated>exitCode", INT, ELEM(was.code), 0 },
    { INITS "lastState>terminated>reason", STRING, ELEM(was.reason), 0 },
    { INITS "lastState>terminated>message", STRING, ELEM(was.message), 0 },

    { "spec>replicas", INT, OBJ(set.replicas), 0 },
    { "status>replicas", INT, OBJ(set.current), 0 },
    { "spec>template>metadata>annotations>" MC_ANNOTATION_HASH, FIXED,
      FIX(set.template_hash) },

    { "spec>resources>requests>storage", STRING, OBJ(claim.size), 0 },
    { "spec>storageClassName", STRING, OBJ(claim.storage_class), 0 },
    { "status>capacity>storage", STRING, OBJ(claim.capacity), 0 },

    { "spec>type", STRING, OBJ(service.type), 0 },
    { "spec>clusterIP", STRING, OBJ(service.cluster_ip), 0 },
    { "spec>ports[]>name", STRING, ELEM(id), 0 },
    { "spec>ports[]>nodePort", INT, ELEM(port), 0 },
    { "status>loadBalancer>ingress[]>hostname", STRING, ELEM(host), 0 },
    { "status>loadBalancer>ingress[]>ip", STRING, ELEM(ip), 0 },
};

/* Every string of an object, for the last step. */
static const size_t  strings[] = {
    OBJ(meta.ns), OBJ(meta.name), OBJ(meta.version), OBJ(pod.phase),
    OBJ(pod.ip), OBJ(pod.host_ip), OBJ(pod.node), OBJ(pod.unscheduled_message),
    OBJ(pod.reason), OBJ(pod.message), OBJ(pod.waiting_reason),
    OBJ(pod.waiting_message), OBJ(pod.init_name), OBJ(pod.init_reason),
    OBJ(pod.init_message), OBJ(pod.cpu_limit), OBJ(pod.resize_reason),
    OBJ(pod.resize_message), OBJ(claim.phase), OBJ(claim.size),
    OBJ(claim.capacity), OBJ(claim.storage_class), OBJ(claim.resize_reason),
    OBJ(claim.resize_message), OBJ(service.type), OBJ(service.cluster_ip),
    OBJ(service.ingress)
};


/* -- text -- */

/* A copy of s, as its place; 0 when memory is out. */
static size_t
keep(parser_t *p, const unsigned char *s, size_t len)
{
    size_t  size = p->size ? p->size : 512, at = p->len;
    char   *text;

    while (size < p->len + len + 1) {
        size *= 2;
    }
    if (size != p->size) {
        text = realloc(p->text, size);
        if (text == NULL) {
            return 0;
        }
        p->text = text;
        p->size = size;
    }
    if (len) {
        memcpy(p->text + at, s, len);
    }
    p->text[at + len] = '\0';
    p->len += len + 1;
    return at;
}


static bool
text_is(const parser_t *p, size_t at, const char *s)
{
    return strcmp(p->text + at, s) == 0;
}


/* In an object under construction a string is its place. */
static void
set_string(char **field, size_t at)
{
    *field = (char *) (uintptr_t) at;
}


/* -- places -- */

static const place_t *
find_place(const parser_t *p)
{
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (strcmp(places[i].path, p->path) == 0) {
            return &places[i];
        }
    }
    return NULL;
}


/* Whether anything is wanted from inside the container at the path. */
static bool
leads_somewhere(const parser_t *p)
{
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (strncmp(places[i].path, p->path, p->path_len) == 0
            && strchr(">[", places[i].path[p->path_len]) != NULL
            && places[i].path[p->path_len] != '\0')
        {
            return true;
        }
    }
    return p->path_len == 0;
}


static void
path_cut(parser_t *p, size_t len)
{
    p->path_len = len;
    p->path[len] = '\0';
}


static bool
path_add(parser_t *p, const void *s, size_t len)
{
    if (len >= PATH_MAX_LEN - p->path_len) {
        return false;
    }
    memcpy(p->path + p->path_len, s, len);
    path_cut(p, p->path_len + len);
    return true;
}


/* -- elements of lists -- */

static void
end_condition(parser_t *p)
{
    mc_kube_object_t  *o = &p->obj;
    const element_t   *e = &p->element;
    bool               yes = text_is(p, e->status, "True");

    if (text_is(p, e->id, "Ready")) {
        o->pod.ready = yes;

    } else if (text_is(p, e->id, "PodScheduled")) {
        o->pod.scheduled = yes;
        if (!yes) {
            set_string(&o->pod.unscheduled_message, e->message);
        }

    } else if (text_is(p, e->id, "PodResizePending")) {
        set_string(&o->pod.resize_reason, e->reason);
        set_string(&o->pod.resize_message, e->message);

    } else if (yes && strstr(p->text + e->id, "Resiz")
               && strncmp(p->text + e->id, "Pod", 3) != 0)
    {
        set_string(&o->claim.resize_reason, e->reason ? e->reason : e->id);
        set_string(&o->claim.resize_message, e->message);
    }
}


static void
end_container(parser_t *p)
{
    mc_kube_pod_t    *pod = &p->obj.pod;
    const element_t  *e = &p->element;

    if (!text_is(p, e->id, MC_CONTAINER)) {
        return;
    }
    pod->running = e->running;
    pod->started = e->started;
    pod->started_ms = e->started_ms;
    pod->restarts = e->restarts > 0 ? (unsigned) e->restarts : 0;
    set_string(&pod->waiting_reason, e->waiting_reason);
    set_string(&pod->waiting_message, e->waiting_message);
    set_string(&pod->cpu_limit, e->cpu);
    if (e->now_terminated) {
        pod->terminated = true;
        pod->exit_code = (int) e->now.code;
        pod->finished_ms = e->now.finished_ms;
        pod->oom_killed = text_is(p, e->now.reason, "OOMKilled");

    } else if (e->was_terminated) {
        pod->terminated = true;
        pod->exit_code = (int) e->was.code;
        pod->finished_ms = e->was.finished_ms;
        pod->oom_killed = text_is(p, e->was.reason, "OOMKilled");
    }
}


/* One that waits for its turn (PodInitializing) is not worth a word. */
static void
end_init_container(parser_t *p)
{
    mc_kube_pod_t    *pod = &p->obj.pod;
    const element_t  *e = &p->element;
    size_t            reason = e->waiting_reason, message = e->waiting_message;

    if (pod->init_name != NULL) {
        return;
    }
    if (text_is(p, reason, "PodInitializing")) {
        return;
    }
    if (e->now_terminated && e->now.code != 0) {
        reason = e->now.reason;
        message = e->now.message;

    } else if (text_is(p, reason, "CrashLoopBackOff") && e->was.message) {
        message = e->was.message;       /* what it died of says more */

    } else if (reason == 0) {
        return;
    }
    set_string(&pod->init_name, e->id);
    set_string(&pod->init_reason, reason);
    set_string(&pod->init_message, message);
}


static void
end_owner(parser_t *p)
{
    if (p->element.controller) {
        memcpy(p->obj.meta.owner_uid, p->element.uid, MC_UUID_LEN + 1);
    }
}


static void
end_port(parser_t *p)
{
    const element_t  *e = &p->element;

    if (text_is(p, e->id, "minecraft") && e->port > 0 && e->port < 65536) {
        p->obj.service.node_port = (uint16_t) e->port;
    }
}


static void
end_ingress(parser_t *p)
{
    if (p->obj.service.ingress == NULL) {
        set_string(&p->obj.service.ingress,
                   p->element.host ? p->element.host : p->element.ip);
    }
}


static void
end_element(parser_t *p)
{
    static const struct {
        const char  *path;
        void       (*end)(parser_t *p);
    } ends[] = {
        { "status>conditions[]", end_condition },
        { "status>containerStatuses[]", end_container },
        { "status>initContainerStatuses[]", end_init_container },
        { "metadata>ownerReferences[]", end_owner },
        { "spec>ports[]", end_port },
        { "status>loadBalancer>ingress[]", end_ingress }
    };

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (strcmp(ends[i].path, p->path) == 0) {
            ends[i].end(p);
        }
    }
}


/* -- what yajl tells; 0 stops it -- */

/* Before a value within a list its place is the list's with "[]". */
static void
begin_value(parser_t *p)
{
    if (p->depth && p->list[p->depth - 1]) {
        path_cut(p, p->outer[p->depth - 1]);
        if (!path_add(p, "[]", 2)) {
            path_cut(p, 0);             /* nobody's place */
        }
    }
}


static const place_t *
wanted(parser_t *p)
{
    if (p->skip || p->depth == 0) {
        return NULL;
    }
    begin_value(p);
    return find_place(p);
}


static int
on_null(void *ctx)
{
    (void) ctx;
    return 1;
}


static int
on_boolean(void *ctx, int b)
{
    parser_t       *p = ctx;
    const place_t  *place = wanted(p);

    if (place && place->kind == BOOL) {
        *(bool *) ((char *) p + place->at) = b;
    }
    return 1;
}


static int
on_number(void *ctx, const char *s, size_t len)
{
    parser_t       *p = ctx;
    const place_t  *place = wanted(p);
    char            digits[24];

    if (place && place->kind == INT && len < sizeof(digits)) {
        memcpy(digits, s, len);
        digits[len] = '\0';
        *(int64_t *) ((char *) p + place->at) = strtoll(digits, NULL, 10);
    }
    return 1;
}


static void
set_fixed(char *field, size_t size, const unsigned char *s, size_t len)
{
    if (len < size) {
        memcpy(field, s, len);
        field[len] = '\0';
    }
}


static int
on_string(void *ctx, const unsigned char *s, size_t len)
{
    parser_t       *p = ctx;
    const place_t  *place = wanted(p);
    char           *field, time[48] = "";
    int64_t         ns;
    size_t          at;

    if (place == NULL) {
        return 1;
    }
    field = (char *) p + place->at;
    switch (place->kind) {

    case STRING:
        at = keep(p, s, len);
        if (at == 0) {
            return 0;
        }
        memcpy(field, &at, sizeof(at));     /* also into a char * */
        break;

    case FIXED:
        set_fixed(field, place->size, s, len);
        break;

    case TIME:
        set_fixed(time, sizeof(time), s, len);
        ns = mc_time_parse_ns(time);
        *(int64_t *) field = ns > 0 ? ns / 1000000 : 0;
        break;

    case PRESENT:
        *(bool *) field = true;
        break;

    default:
        break;
    }
    return 1;
}


static int
on_key(void *ctx, const unsigned char *s, size_t len)
{
    parser_t  *p = ctx;

    if (p->skip) {
        return 1;
    }
    path_cut(p, p->outer[p->depth - 1]);
    if ((p->path_len && !path_add(p, ">", 1)) || !path_add(p, s, len)
        || memchr(s, '\0', len) || memchr(s, '>', len) || memchr(s, '[', len))
    {
        path_cut(p, 0);
    }
    return 1;
}


static int
begin_container(parser_t *p, bool list)
{
    const place_t  *place;

    if (p->skip) {
        p->skip++;
        return 1;
    }
    if (p->depth) {
        begin_value(p);
        place = find_place(p);
        if (place && place->kind == PRESENT) {
            *(bool *) ((char *) p + place->at) = true;
        }
        if (p->path_len == 0 || p->depth == DEPTH || !leads_somewhere(p)) {
            p->skip = 1;
            return 1;
        }
        if (p->list[p->depth - 1]) {
            memset(&p->element, 0, sizeof(p->element));
        }

    } else if (list) {
        return 0;                       /* no object */
    }
    p->outer[p->depth] = p->path_len;
    p->list[p->depth++] = list;
    return 1;
}


static int
on_start_map(void *ctx)
{
    return begin_container(ctx, false);
}


static int
on_start_array(void *ctx)
{
    return begin_container(ctx, true);
}


static int
on_end(void *ctx)
{
    parser_t  *p = ctx;

    if (p->skip) {
        p->skip--;
        return 1;
    }
    p->depth--;
    path_cut(p, p->outer[p->depth]);
    if (p->depth && p->list[p->depth - 1]) {
        end_element(p);
    }
    if (p->meta_only && strcmp(p->path, "metadata") == 0) {
        p->meta_done = true;
        return 0;
    }
    return 1;
}


static const yajl_callbacks  callbacks = {
    on_null, on_boolean, NULL, NULL, on_number, on_string,
    on_start_map, on_key, on_end, on_start_array, on_end
};


/* -- the whole -- */

/* Object and strings in one block. */
static mc_kube_object_t *
finish(parser_t *p)
{
    mc_kube_object_t  *obj = malloc(sizeof(*obj) + p->len);
    char              *text, **field;

    if (obj == NULL) {
        return NULL;
    }
    text = (char *) (obj + 1);
    p->obj.meta.ours = strcmp(p->managed_by, "mchost") == 0;
    p->obj.claim.phase = p->obj.pod.phase;
    *obj = p->obj;
    memcpy(text, p->text, p->len);
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        field = (char **) ((char *) obj + strings[i] - offsetof(parser_t, obj));
        *field = text + (uintptr_t) *field;
    }
    return obj;
}


static mc_kube_object_t *
parse(const char *text, size_t len, bool meta_only)
{
    parser_t          *p = calloc(1, sizeof(*p));
    yajl_handle        yajl = yajl_alloc(&callbacks, NULL, p);
    mc_kube_object_t  *obj = NULL;
    yajl_status        rc;

    if (p && yajl) {
        p->meta_only = meta_only;
        (void) keep(p, NULL, 0);
        if (p->text != NULL) {
            rc = yajl_parse(yajl, (const unsigned char *) text, len);
            if (rc == yajl_status_ok) {
                rc = yajl_complete_parse(yajl);
            }
            if (rc == yajl_status_ok || p->meta_done) {
                obj = finish(p);
            }
        }
    }
    if (yajl) {
        yajl_free(yajl);
    }
    if (p) {
        free(p->text);
    }
    free(p);
    return obj;
}


mc_kube_object_t *
mc_kube_object_read(const char *text, size_t len)
{
    mc_kube_object_t  *obj = parse(text, len, false);

    if (obj && obj->meta.name[0] == '\0') {
        mc_kube_object_free(obj);
        return NULL;
    }
    return obj;
}


mc_kube_object_t *
mc_kube_object_meta(const char *text, size_t len)
{
    return parse(text, len, true);
}


void
mc_kube_object_free(mc_kube_object_t *obj)
{
    free(obj);
}
