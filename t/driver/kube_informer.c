/*
 * An informer of pods, for a test to look at: kube_informer KUBECONFIG
 * NAMESPACE SELECTOR PAGE WATCH_S COMPARE_MS. It says what it is told:
 *
 *     put NS/NAME VERSION new|changed|same      gone NS/NAME      synced
 *
 * and takes orders on standard input, each answered with a line "done …":
 *
 *     dump            item NS/NAME VERSION PHASE for each, then the counters
 *     wrote JSON      the answer to a write
 *     lost NS NAME UID
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "informer.h"

#define ORDER_MAX  65536

static uv_loop_t       loop;
static uv_pipe_t       input;
static mc_kube_t      *kube;
static mc_informer_t  *inf;
static char            order[ORDER_MAX];
static size_t          order_len;


static void *
put(void *data, void *old, const mc_kube_meta_t *meta, const char *text,
    size_t len, bool changed)
{
    (void) data;
    if (!changed) {
        printf("put %s/%s %s same\n", meta->ns, meta->name, meta->version);
        return old;
    }
    printf("put %s/%s %s %s\n", meta->ns, meta->name, meta->version,
           old ? "changed" : "new");
    mc_kube_object_free(old);
    return mc_kube_object_read(text, len);
}


static void
gone(void *data, void *value)
{
    mc_kube_object_t  *obj = value;

    (void) data;
    printf("gone %s/%s\n", obj->meta.ns, obj->meta.name);
    mc_kube_object_free(obj);
}


static void
synced(void *data)
{
    (void) data;
    printf("synced %zu\n", mc_informer_size(inf));
}


static void
show(void *value, void *data)
{
    mc_kube_object_t  *obj = value;

    (void) data;
    printf("item %s/%s %s %s\n", obj->meta.ns, obj->meta.name,
           obj->meta.version, obj->pod.phase);
}


static void
dump(void)
{
    mc_informer_stats_t  s;

    mc_informer_each(inf, show, NULL);
    mc_informer_stats(inf, &s);
    printf("done size=%zu events=%llu lists=%llu gone=%llu compare=%llu "
           "cuts=%llu errors=%llu\n", mc_informer_size(inf),
           (unsigned long long) s.events, (unsigned long long) s.lists,
           (unsigned long long) s.relists_gone,
           (unsigned long long) s.relists_compare,
           (unsigned long long) s.cuts, (unsigned long long) s.errors);
}


static void
obey(char *line)
{
    char  ns[64], name[256], uid[64];

    if (strcmp(line, "dump") == 0) {
        dump();
        return;
    }
    if (strncmp(line, "wrote ", 6) == 0) {
        mc_informer_wrote(inf, line + 6, strlen(line + 6));

    } else if (sscanf(line, "lost %63s %255s %63s", ns, name, uid) == 3) {
        mc_informer_lost(inf, ns, name, uid);
    }
    printf("done\n");
}


static void
give(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
    (void) h;
    (void) size;
    *buf = uv_buf_init(order + order_len,
                       (unsigned) (sizeof(order) - 1 - order_len));
}


static void
end(void)
{
    mc_informer_destroy(inf);
    mc_kube_destroy(kube);
    uv_close((uv_handle_t *) &input, NULL);
}


static void
on_input(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    char  *nl;

    (void) s;
    (void) buf;
    if (n < 0) {
        end();
        return;
    }
    order_len += (size_t) n;
    order[order_len] = '\0';
    while ((nl = strchr(order, '\n')) != NULL) {
        *nl = '\0';
        obey(order);
        order_len -= (size_t) (nl + 1 - order);
        memmove(order, nl + 1, order_len + 1);
    }
}


int
main(int argc, char **argv)
{
    mc_kube_conf_t      client = { .kubeconfig = argc > 1 ? argv[1] : "",
                                   .context = "" };
    mc_informer_conf_t  conf = { .type = &mc_kube_pod, .put = put,
                                 .gone = gone, .synced = synced };
    char                err[512];

    if (argc != 7) {
        fprintf(stderr, "usage: %s KUBECONFIG NAMESPACE SELECTOR PAGE WATCH_S "
                "COMPARE_MS\n", argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    conf.ns = argv[2];
    conf.selector = argv[3];
    conf.page = (unsigned) atoi(argv[4]);
    conf.watch_s = (unsigned) atoi(argv[5]);
    conf.compare_ms = atoi(argv[6]);
    uv_loop_init(&loop);
    kube = mc_kube_create(&loop, &client, err, sizeof(err));
    if (kube == NULL) {
        fprintf(stderr, "%s\n", err);
        return 1;
    }
    inf = mc_informer_create(kube, &loop, &conf);
    uv_pipe_init(&loop, &input, 0);
    uv_pipe_open(&input, 0);
    uv_read_start((uv_stream_t *) &input, give, on_input);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}
