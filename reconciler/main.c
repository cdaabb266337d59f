/*
 * mchost-reconciler: sees to it that every server in the database runs as its
 * spec says.
 */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "admin.h"
#include "app.h"
#include "log.h"
#include "migrate.h"
#include "secret.h"

#ifndef MCHOST_VERSION
#define MCHOST_VERSION  "0"
#endif

#define DRAIN_MS  15000             /* for passes to end by themselves */
#define CLOSE_MS  4000              /* for handles to close after that */

/* The process. */
typedef struct {
    uv_loop_t     loop;
    mc_config_t   conf;
    mc_app_t      app;
    mc_admin_t   *admin;
    uv_signal_t   term, interrupt;
    uv_timer_t    deadline;
    bool          draining;
    bool          closed;
} daemon_t;

static const char  usage[] =
    "Usage: mchost-reconciler [-c FILE] [-t | --migrate]\n"
    "\n"
    "Runs in the foreground and logs to standard error.\n"
    "\n"
    "  -c, --config FILE  settings; every one may also come from the environment\n"
    "                     (MCHOST_DATABASE_URL for database_url)\n"
    "  -t, --test         test the settings and exit\n"
    "      --migrate      bring the database's schema up to date and exit\n"
    "      --version      print the version and exit\n"
    "  -h, --help         print this and exit\n";


/* -- the end -- */

static void
close_all(daemon_t *d)
{
    if (d->closed) {
        return;
    }
    d->closed = true;
    mc_app_stop(&d->app);
    mc_admin_destroy(d->admin);
    uv_close((uv_handle_t *) &d->term, NULL);
    uv_close((uv_handle_t *) &d->interrupt, NULL);
    uv_timer_stop(&d->deadline);
}


/* Something in a library did not let go: no server depends on it. */
static void
on_stuck(uv_timer_t *timer)
{
    (void) timer;
    mc_log(MC_LOG_WARN, "ended without closing everything", NULL);
    _exit(0);
}


static void
on_deadline(uv_timer_t *timer)
{
    daemon_t  *d = timer->data;

    if (d->draining && !d->closed) {
        d->draining = false;
        close_all(d);
    }
    uv_timer_start(timer, on_stuck, CLOSE_MS, 0);
    uv_unref((uv_handle_t *) timer);
}


/* The last pass is over; the loop closes things from a clean stack. */
static void
on_drained(mc_app_t *app)
{
    daemon_t  *d = (daemon_t *) ((char *) app - offsetof(daemon_t, app));

    uv_timer_start(&d->deadline, on_deadline, 0, 0);
}


/* No server is stopped by this: another reconciler goes on from here. */
static void
on_signal(uv_signal_t *handle, int signum)
{
    daemon_t  *d = handle->data;

    if (d->draining) {
        return;
    }
    mc_log(MC_LOG_INFO, "stopping", "signal",
           signum == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
    d->draining = true;
    uv_timer_start(&d->deadline, on_deadline, DRAIN_MS, 0);
    mc_app_drain(&d->app, on_drained);
}


/* -- the beginning -- */

static bool
is_ready(void *data, char *why, size_t size)
{
    const daemon_t  *d = data;
    const char      *reason = d->draining ? "the reconciler is being stopped"
                     : d->app.store != NULL && !mc_store_up(d->app.store)
                     ? "the database is not connected"
                     : !d->app.synced ? "the servers are not known yet"
                     : d->app.kubernetes && !d->app.listed
                     ? "the cluster's objects are not known yet" : NULL;

    if (reason == NULL) {
        return true;
    }
    snprintf(why, size, "%s", reason);
    return false;
}


static int
start(daemon_t *d, char *err, size_t errlen)
{
    const mc_config_t  *conf = &d->conf;

    uv_signal_init(&d->loop, &d->term);
    uv_signal_init(&d->loop, &d->interrupt);
    uv_timer_init(&d->loop, &d->deadline);
    d->term.data = d->interrupt.data = d->deadline.data = d;
    uv_signal_start(&d->term, on_signal, SIGTERM);
    uv_signal_start(&d->interrupt, on_signal, SIGINT);

    if (conf->admin_port != 0) {
        d->admin = mc_admin_create(&d->loop, conf->admin_host,
                                   (uint16_t) conf->admin_port, is_ready, d, err,
                                   errlen);
        if (d->admin == NULL) {
            return -1;
        }
    }
    return mc_app_start(&d->app, &d->loop, conf, err, errlen);
}


static int
run(daemon_t *d)
{
    char  err[512];
    int   rc = 0;

    signal(SIGPIPE, SIG_IGN);
    srandom((unsigned) time(NULL) ^ (unsigned) getpid() << 8);
    uv_loop_init(&d->loop);

    if (start(d, err, sizeof(err)) != 0) {
        fprintf(stderr, "mchost-reconciler: %s\n", err);
        rc = 1;
        if (d->app.loop != NULL) {
            close_all(d);
        } else {
            uv_close((uv_handle_t *) &d->term, NULL);
            uv_close((uv_handle_t *) &d->interrupt, NULL);
        }
    } else {
        mc_log(MC_LOG_INFO, "started", "version", MCHOST_VERSION, "engine",
               d->conf.engine, NULL);
    }

    uv_run(&d->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *) &d->deadline, NULL);
    uv_run(&d->loop, UV_RUN_DEFAULT);

    if (d->app.loop != NULL) {
        mc_app_free(&d->app);
    }
    uv_loop_close(&d->loop);
    if (rc == 0) {
        mc_log(MC_LOG_INFO, "stopped", NULL);
    }
    return rc;
}


typedef enum { MODE_RUN, MODE_TEST, MODE_MIGRATE, MODE_DONE, MODE_WRONG } modes_t;

static modes_t
parse_arguments(int argc, char **argv, const char **file)
{
    static const struct option  options[] = {
        { "config", required_argument, NULL, 'c' },
        { "test", no_argument, NULL, 't' },
        { "migrate", no_argument, NULL, 'm' },
        { "version", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 }
    };
    modes_t  mode = MODE_RUN;
    int      c;

    while ((c = getopt_long(argc, argv, "c:th", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            *file = optarg;
            break;
        case 't':
            mode = MODE_TEST;
            break;
        case 'm':
            mode = MODE_MIGRATE;
            break;
        case 'v':
            puts("mchost-reconciler " MCHOST_VERSION);
            return MODE_DONE;
        case 'h':
            fputs(usage, stdout);
            return MODE_DONE;
        default:
            return MODE_WRONG;
        }
    }
    return optind == argc ? mode : MODE_WRONG;
}


static int
migrate(const mc_config_t *conf)
{
    if (conf->migrate_url[0] == '\0') {
        fprintf(stderr, "mchost-reconciler: --migrate needs migrate_url, the "
                "database as its owner sees it; set it in the file given with -c "
                "or as MCHOST_MIGRATE_URL\n");
        return 1;
    }
    return mc_migrate(conf->migrate_url);
}


static int
serve(daemon_t *d, modes_t mode, const char *file)
{
    char  err[512];
    int   rc;

    if (mc_secret_load(d->conf.secret_file, err, sizeof(err)) != 0) {
        fprintf(stderr, "mchost-reconciler: %s\n", err);
        return 1;
    }
    if (mode == MODE_TEST) {
        fprintf(stderr, "mchost-reconciler: the settings%s%s are good\n",
                file == NULL ? "" : " in ", file == NULL ? "" : file);
        rc = 0;
    } else {
        rc = run(d);
    }
    mc_secret_unload();
    return rc;
}


int
main(int argc, char **argv)
{
    static daemon_t   d;
    extern char     **environ;
    const char       *file = NULL;
    char              err[1024];
    modes_t           mode = parse_arguments(argc, argv, &file);
    int               rc;

    if (mode == MODE_DONE) {
        return 0;
    }
    if (mode == MODE_WRONG) {
        fputs(usage, stderr);
        return 2;
    }

    if (mc_config_load(&d.conf, file, environ, err, sizeof(err)) != 0) {
        fprintf(stderr, "mchost-reconciler: %s\n", err);
        rc = 1;
    } else {
        mc_log_set_level((mc_log_level_t) d.conf.log_level);
        rc = mode == MODE_MIGRATE ? migrate(&d.conf) : serve(&d, mode, file);
    }
    mc_config_free(&d.conf);
    return rc;
}
