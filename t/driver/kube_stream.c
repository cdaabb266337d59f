/*
 * A pod's streams, for a test to look at:
 *
 *     kube_stream KUBECONFIG log NAMESPACE POD SINCE
 *         line TIME TEXT for each line, "end"
 *     kube_stream KUBECONFIG exec NAMESPACE POD INPUT COMMAND …
 *         out TEXT, err TEXT, code N ERROR (INPUT "-": none)
 *
 * The end of standard input ends it.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kube_stream.h"

static uv_loop_t        loop;
static uv_pipe_t        input;
static mc_kube_t       *kube;
static mc_kube_log_t   *following;
static mc_kube_exec_t  *running;


static void
on_line(void *data, const char *time, const char *stream, const char *line,
    size_t len)
{
    (void) data;
    if (stream == NULL) {
        printf("end\n");
        mc_kube_log_stop(following);
        following = NULL;
        return;
    }
    printf("line %s %.*s\n", time, (int) len, line);
}


static void
on_done(void *data, int code, const char *out, size_t len, const char *err,
    const char *error)
{
    (void) data;
    running = NULL;
    printf("out %zu %s\nerr %s\ncode %d %s\n", len, out, err, code, error);
}


static void
give(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
    static char  bytes[64];

    (void) h;
    (void) size;
    *buf = uv_buf_init(bytes, sizeof(bytes));
}


static void
on_input(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    (void) buf;
    if (n >= 0) {
        return;
    }
    if (following) {
        mc_kube_log_stop(following);
    }
    if (running) {
        mc_kube_exec_cancel(running);
    }
    mc_kube_destroy(kube);
    uv_close((uv_handle_t *) s, NULL);
}


int
main(int argc, char **argv)
{
    mc_kube_conf_t  client = { .kubeconfig = argc > 1 ? argv[1] : "",
                               .context = "" };
    char            err[512];

    if (argc < 6) {
        fprintf(stderr, "usage: %s KUBECONFIG log|exec NAMESPACE POD …\n",
                argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    uv_loop_init(&loop);
    kube = mc_kube_create(&loop, &client, err, sizeof(err));
    if (kube == NULL) {
        fprintf(stderr, "%s\n", err);
        return 1;
    }
    if (strcmp(argv[2], "log") == 0) {
        following = mc_kube_log_follow(kube, &loop, argv[3], argv[4], argv[5],
                                       on_line, NULL);
    } else {
        running = mc_kube_exec(kube, &loop, argv[3], argv[4],
                               (const char *const *) argv + 6,
                               strcmp(argv[5], "-") ? argv[5] : NULL, 20000,
                               on_done, NULL);
    }
    uv_pipe_init(&loop, &input, 0);
    uv_pipe_open(&input, 0);
    uv_read_start((uv_stream_t *) &input, give, on_input);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}
