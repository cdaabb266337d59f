/*
 * The workqueue: dedupe, order, delays, backoff, caps.
 */

#include "metrics.h"
#include "tap.h"
#include "workqueue.h"

static mc_metrics_queue_t  metrics;


static mc_workqueue_t *
queue(unsigned workers, size_t max_keys)
{
    mc_workqueue_conf_t  conf = {
        .workers = workers, .max_keys = max_keys, .backoff_ms = 100,
        .backoff_max_ms = 1000, .metrics = &metrics
    };

    memset(&metrics, 0, sizeof(metrics));
    return mc_workqueue_create(&conf);
}


static void
test_dedupe(void)
{
    mc_workqueue_t  *q = queue(4, 100);

    mc_workqueue_add(q, "a", MC_WORKQUEUE_NORMAL, 0);
    mc_workqueue_add(q, "b", MC_WORKQUEUE_NORMAL, 0);
    mc_workqueue_add(q, "a", MC_WORKQUEUE_NORMAL, 0);
    is_int(metrics.depth, 2, "a key is queued once");
    is_int(metrics.adds, 2, "and counted once");
    is(mc_workqueue_get(q, 0), "a", "first in");
    is(mc_workqueue_get(q, 0), "b", "first out");
    ok(mc_workqueue_get(q, 0) == NULL, "then none");
    is_int(metrics.depth, 0, "the depth is zero");
    is_int(mc_workqueue_active(q), 2, "two are in process");
    mc_workqueue_destroy(q);
}


static void
test_dirty_while_processing(void)
{
    mc_workqueue_t  *q = queue(4, 100);

    mc_workqueue_add(q, "a", MC_WORKQUEUE_NORMAL, 0);
    mc_workqueue_get(q, 0);
    mc_workqueue_add(q, "a", MC_WORKQUEUE_NORMAL, 1);
    mc_workqueue_add(q, "a", MC_WORKQUEUE_NORMAL, 2);
    ok(mc_workqueue_get(q, 2) == NULL, "a key in process is not handed out");
    is_int(mc_workqueue_timeout(q, 2), -1, "and nothing is to be waited for");
    mc_workqueue_done(q, "a", 3);
    is(mc_workqueue_get(q, 3), "a", "but once when it is done");
    mc_workqueue_done(q, "a", 4);
    ok(mc_workqueue_get(q, 4) == NULL, "and only once");
    mc_workqueue_destroy(q);
}


static void
test_workers(void)
{
    mc_workqueue_t  *q = queue(1, 100);

    mc_workqueue_add(q, "a", MC_WORKQUEUE_NORMAL, 0);
    mc_workqueue_add(q, "b", MC_WORKQUEUE_NORMAL, 0);
    is(mc_workqueue_get(q, 0), "a", "one worker takes one key");
    ok(mc_workqueue_get(q, 0) == NULL, "the other waits");
    is_int(mc_workqueue_timeout(q, 0), -1, "for a done");
    mc_workqueue_done(q, "a", 0);
    is_int(mc_workqueue_timeout(q, 0), 0, "then it is due");
    is(mc_workqueue_get(q, 0), "b", "and is handed out");
    mc_workqueue_destroy(q);
}


static void
test_priority(void)
{
    mc_workqueue_t  *q = queue(4, 100);

    mc_workqueue_add(q, "resync1", MC_WORKQUEUE_LOW, 0);
    mc_workqueue_add(q, "resync2", MC_WORKQUEUE_LOW, 0);
    mc_workqueue_add(q, "change", MC_WORKQUEUE_NORMAL, 0);
    mc_workqueue_add(q, "resync2", MC_WORKQUEUE_NORMAL, 0);
    is(mc_workqueue_get(q, 0), "change", "a change comes before a resync");
    is(mc_workqueue_get(q, 0), "resync2", "a change raises a resync's key");
    is(mc_workqueue_get(q, 0), "resync1", "the resync comes last");

    mc_workqueue_add(q, "change", MC_WORKQUEUE_LOW, 0);
    mc_workqueue_add(q, "change", MC_WORKQUEUE_NORMAL, 0);
    mc_workqueue_add(q, "other", MC_WORKQUEUE_LOW, 0);
    mc_workqueue_done(q, "change", 0);
    is(mc_workqueue_get(q, 0), "change", "a dirty key keeps the higher priority");
    mc_workqueue_destroy(q);
}


static void
test_delay(void)
{
    mc_workqueue_t  *q = queue(4, 100);

    mc_workqueue_add_after(q, "a", 50, 0);
    mc_workqueue_add_after(q, "b", 20, 0);
    mc_workqueue_add_after(q, "a", 80, 0);
    is_int(mc_workqueue_timeout(q, 0), 20, "the earliest counts");
    ok(mc_workqueue_get(q, 19) == NULL, "not before its time");
    is(mc_workqueue_get(q, 20), "b", "at its time");
    is_int(mc_workqueue_timeout(q, 20), 30, "a longer delay does not replace a shorter one");
    mc_workqueue_add_after(q, "a", 10, 20);
    is_int(mc_workqueue_timeout(q, 20), 10, "a shorter one does");
    is(mc_workqueue_get(q, 30), "a", "a, once");
    mc_workqueue_done(q, "a", 30);
    ok(mc_workqueue_get(q, 100) == NULL, "not twice");

    mc_workqueue_add_after(q, "c", 10, 100);
    mc_workqueue_add(q, "c", MC_WORKQUEUE_NORMAL, 100);
    is(mc_workqueue_get(q, 100), "c", "an add does not wait for the delay");
    mc_workqueue_done(q, "c", 100);
    is_int(mc_workqueue_timeout(q, 100), -1, "which is used up by it");

    mc_workqueue_add(q, "d", MC_WORKQUEUE_NORMAL, 100);
    mc_workqueue_get(q, 100);
    mc_workqueue_add_after(q, "d", 10, 100);
    mc_workqueue_done(q, "d", 100);
    is(mc_workqueue_get(q, 110), "d", "a delay set in process is kept");
    mc_workqueue_destroy(q);
}


static void
test_backoff(void)
{
    mc_workqueue_t  *q = queue(4, 100);
    int64_t          want[] = { 100, 200, 400, 800, 1000, 1000 };
    int64_t          now = 0;

    for (int i = 0; i < 6; i++) {
        is_int(mc_workqueue_add_failed(q, "a", now), want[i], "failure %d", i + 1);
        now += want[i];
        is(mc_workqueue_get(q, now), "a", "comes again");
        mc_workqueue_done(q, "a", now);
    }
    mc_workqueue_forget(q, "a");
    is_int(mc_workqueue_add_failed(q, "a", now), 100, "forgotten: from the start");
    is_int(metrics.retries, 7, "retries are counted");
    mc_workqueue_destroy(q);
}


static void
test_cap(void)
{
    mc_workqueue_t  *q = queue(4, 2);

    is_int(mc_workqueue_add(q, "a", MC_WORKQUEUE_NORMAL, 0), 0, "first");
    is_int(mc_workqueue_add_after(q, "b", 10, 0), 0, "second");
    is_int(mc_workqueue_add(q, "c", MC_WORKQUEUE_NORMAL, 0), -1, "the queue is full");
    is_int(mc_workqueue_add(q, "a", MC_WORKQUEUE_NORMAL, 0), 0, "known keys still fit");
    is(mc_workqueue_get(q, 0), "a", "one is processed");
    is_int(mc_workqueue_add(q, "c", MC_WORKQUEUE_NORMAL, 0), -1, "it still counts");
    mc_workqueue_done(q, "a", 0);
    is_int(mc_workqueue_add(q, "c", MC_WORKQUEUE_NORMAL, 0), 0, "until it is done");
    mc_workqueue_destroy(q);
}


/* Random use against simple rules: no key twice in process, none lost. */
static void
test_random(void)
{
    mc_workqueue_t  *q = queue(5, 1000);
    int              processing[50] = { 0 }, wanted[50] = { 0 }, bad = 0, left = 0;
    char             key[8];
    const char      *got;

    srandom(7);
    for (int64_t now = 0; now < 20000; now++) {
        int  k = (int) (random() % 50);

        snprintf(key, sizeof(key), "%d", k);
        switch (random() % 4) {
        case 0:
            mc_workqueue_add(q, key, random() % 2, now);
            wanted[k] = 1;
            break;
        case 1:
            mc_workqueue_add_after(q, key, random() % 30, now);
            wanted[k] = 1;
            break;
        case 2:
            if ((got = mc_workqueue_get(q, now)) != NULL) {
                bad += processing[atoi(got)]++;
                wanted[atoi(got)] = 0;
            }
            break;
        default:
            if (processing[k]) {
                processing[k] = 0;
                mc_workqueue_done(q, key, now);
            }
        }
    }
    for (int k = 0; k < 50; k++) {
        snprintf(key, sizeof(key), "%d", k);
        if (processing[k]) {
            mc_workqueue_done(q, key, 20000);
        }
    }
    while ((got = mc_workqueue_get(q, 30000)) != NULL) {
        wanted[atoi(got)] = 0;
        mc_workqueue_done(q, got, 30000);
    }
    for (int k = 0; k < 50; k++) {
        left += wanted[k];
    }
    is_int(bad, 0, "no key was in process twice");
    is_int(left, 0, "no wish was lost");
    is_int(metrics.depth, 0, "the depth ends at zero");
    mc_workqueue_destroy(q);
}


int
main(void)
{
    test_dedupe();
    test_dirty_while_processing();
    test_workers();
    test_priority();
    test_delay();
    test_backoff();
    test_cap();
    test_random();
    return done_testing();
}
