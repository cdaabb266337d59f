/*
 * The planner.
 */

#include "plan_case.h"


static void
test_create(void)
{
    reset("{\"runPolicy\":\"Always\"}");
    is(actions(NOW), "ensure_storage create", "nothing is there: create");
    is(state(), "Starting", "it starts");
    ok(plan.progressing && plan.in_sync && !plan.restart_pending, "and progresses");

    obs.pod = MC_POD_CREATED;
    is(actions(NOW), "remove ensure_storage create",
       "a pod that never ran goes before a new one comes");

    spec("{\"runPolicy\":\"OnDemand\"}");
    obs.pod = MC_POD_ABSENT;
    is(actions(NOW), "ensure_storage create", "OnDemand runs as well");
}


static void
test_running(void)
{
    reset_running("{}");
    is(actions(NOW), "", "all is well: nothing to do");
    is(state(), "Running", "it runs");
    ok(!plan.progressing && plan.in_sync && plan.degraded[0] == '\0', "settled");
    is_int(plan.wait_ms, -1, "nothing to wait for");

    facts.was_ready = false;
    facts.ping = MC_PING_FAILED;
    is(actions(NOW), "", "no answer yet");
    is(state(), "Starting", "is starting");
    is_int(plan.wait_ms, TIMEOUT - 60000, "until the time limit");
    is(plan.degraded, "", "which is no fault");

    is(actions(NOW + TIMEOUT), "", "after the time limit it is left running");
    is(plan.degraded, "StartTimeout", "but degraded");

    facts.was_ready = true;
    is(actions(NOW), "", "answered once, not now");
    is(state(), "Running", "is still running");
    is(plan.degraded, "Unresponsive", "but degraded");
}


static void
test_stop(void)
{
    reset_running("{\"runPolicy\":\"Stopped\",\"shutdown\":"
                  "{\"announceSeconds\":30,\"graceSeconds\":60}}");
    facts.players = 2;
    is(actions(NOW), "announce", "players are told first");
    is(state(), "Stopping", "it stops");
    is_int(plan.announce_s, 30, "so long before");

    facts.announced_ms = NOW;
    is(actions(NOW + 1000), "", "then they have time");
    is_int(plan.wait_ms, 29000, "until it is over");
    is(actions(NOW + 30000), "console_stop", "then the console is asked");

    facts.asked_ms = NOW + 30000;
    is(actions(NOW + 31000), "", "the game saves");
    is_int(plan.wait_ms, 1000, "and is looked at every second");
    is(actions(NOW + 89999), "", "as long as the grace time lasts");
    is(actions(NOW + 90000), "stop", "then it is signalled");
    is_int(plan.grace_s, 10, "with little more patience");

    obs.pod = MC_POD_EXITED;
    facts.stopped = true;
    is(actions(NOW), "", "an exited pod stays");
    is(state(), "Stopped", "it is stopped");
    ok(!plan.progressing, "settled");
    is_int(facts.crashes, 0, "a wanted exit is no crash");

    obs.pod = MC_POD_ABSENT;
    is(actions(NOW), "", "no pod is as good");
    is(state(), "Stopped", "stopped");
    obs.pod = MC_POD_CREATED;
    is(actions(NOW), "remove", "a pod that never ran goes");
}


static void
test_stop_without_console(void)
{
    reset_running("{\"runPolicy\":\"Stopped\",\"shutdown\":"
                  "{\"announceSeconds\":30,\"graceSeconds\":60}}");
    is(actions(NOW), "console_stop", "nobody plays: nobody is told");
    facts.players = 3;
    facts.was_ready = false;
    is(actions(NOW), "console_stop", "nor when it never was ready");
    facts.console_failed = true;
    is(actions(NOW), "stop", "a console that fails is replaced by a signal");
    is_int(plan.grace_s, 60, "with the whole grace time");

    mc_facts_fail(&facts, MC_ACTION_CREATE, 3, "EngineError", "no", true, NOW);
    is(actions(NOW), "", "a failed stop is not repeated at once");
    is(state(), "Stopping", "stopping all the same");
    is(plan.degraded, "EngineError", "with the reason");
    is_int(plan.wait_ms, 1000, "but after a while");
    is(actions(NOW + 1000), "stop", "again");

    reset_running("{\"runPolicy\":\"Stopped\",\"shutdown\":{\"graceSeconds\":5}}");
    facts.asked_ms = NOW;
    is(actions(NOW + 5000), "stop", "a short grace time");
    is_int(plan.grace_s, 5, "holds for the signal too");
}


static void
test_wish_changes(void)
{
    reset_running("{\"runPolicy\":\"Always\",\"shutdown\":{\"graceSeconds\":60}}");
    facts.announced_ms = NOW;
    is(actions(NOW + 1), "", "wanted again before the console was asked");
    ok(!plan.stopping, "the stop is called off");

    facts.asked_ms = NOW;
    is(actions(NOW + 1), "", "asked already");
    is(state(), "Stopping", "it goes down");
    obs.pod = MC_POD_EXITED;
    facts.stopped = true;
    is(actions(NOW + 2), "start", "and up again");

    reset("{\"runPolicy\":\"Always\"}");
    obs.pod = MC_POD_EXITED;
    facts.stopped = true;
    strcpy(obs.pod_hash, HASH);
    is(actions(NOW), "start", "a stopped server starts with its old pod");
    strcpy(obs.pod_hash, "other");
    is(actions(NOW), "remove ensure_storage create", "or with a new one if its spec changed");
}


static void
test_restart(void)
{
    reset_running("{\"restartToken\":\"2\"}");
    strcpy(obs.pod_restart, "1");
    facts.players = 5;
    is(actions(NOW), "console_stop", "a new token restarts even with players");
    is(state(), "Stopping", "it stops");
    facts.asked_ms = NOW;
    is(actions(NOW + 1), "", "saves");
    obs.pod = MC_POD_EXITED;
    obs.exit_code = 0;
    facts.stopped = true;
    is(actions(NOW + 2), "remove ensure_storage create", "a new pod follows");
    is(state(), "Starting", "and starts");
    strcpy(obs.pod_restart, "2");
    obs.pod = MC_POD_RUNNING;
    facts.asked_ms = 0;
    is(actions(NOW + 3), "", "done");
}


static void
test_change(void)
{
    reset_running("{}");
    strcpy(obs.pod_hash, "old");
    facts.players = 1;
    is(actions(NOW), "", "a change waits while somebody plays");
    ok(plan.restart_pending && !plan.in_sync, "pending");
    is(state(), "Running", "running");
    facts.players = -1;
    facts.ping = MC_PING_UNKNOWN;
    is(actions(NOW), "", "and while nobody knows");
    facts.ping = MC_PING_FAILED;
    is(actions(NOW), "", "and while it does not answer, but did");
    facts.players = 0;
    is(actions(NOW), "console_stop", "empty: now");
    facts.ping = MC_PING_ANSWERED;
    is(actions(NOW + 1000), "", "empty before the change: somebody may have joined");
    ok(plan.ask_players && !plan.restart_pending && !plan.in_sync, "the players are counted first");
    facts.recount_ms = NOW + 1000;
    is(actions(NOW + 1001), "", "no answer yet");
    facts.pinged_ms = NOW + 1001;
    is(actions(NOW + 1002), "console_stop", "empty after it: now");
    facts.recount_ms = 0;
    facts.announced_ms = NOW;
    is(actions(NOW + 5000), "console_stop", "an announced stop goes on");
    facts.announced_ms = 0;
    facts.ping = MC_PING_FAILED;
    is(actions(NOW + 5000), "console_stop", "it was empty and answers no more: now");
    facts.players = -1;
    facts.was_ready = false;
    is(actions(NOW), "console_stop", "never ready: now");
}


static void
test_crash(void)
{
    int64_t  t = NOW;

    reset_running("{}");
    for (int i = 1; i <= 12; i++) {
        int64_t  want = i < 10 ? 1000LL << (i - 1) : 300000;

        obs.pod = MC_POD_EXITED;
        obs.exit_code = 137;
        obs.oom_killed = i == 2;
        obs.started_ms = t;
        obs.finished_ms = t += 5000;
        is(actions(t), "", "crash %d", i);
        is_int(plan.wait_ms, want, "is waited out");
        is(plan.degraded, i == 2 ? "OOMKilled" : "CrashLoopBackOff", "with the reason");
        ok(strstr(plan.message, "137") != NULL, "%s", plan.message);
        is(state(), i < 4 ? "Starting" : "Failed", "state");
        is(actions(t + want - 1), "", "to the millisecond");
        is(actions(t + want), "start", "then it starts");
        t += want;
        obs.pod = MC_POD_RUNNING;
    }

    obs.pod = MC_POD_EXITED;
    obs.started_ms = t;
    obs.finished_ms = t += 600000;
    is(actions(t), "", "a crash after a long time");
    is_int(plan.wait_ms, 1000, "counts from the start");

    is(actions(t - 3600000), "start", "a clock set back does not delay for an hour");

    strcpy(obs.pod_hash, "other");
    is(actions(t), "remove ensure_storage create", "a changed spec does not wait");
}


static void
test_failure(void)
{
    int64_t  t = NOW;

    reset("{}");
    for (int i = 1; i <= 11; i++) {
        int64_t  want = i < 10 ? 1000LL << (i - 1) : 300000;

        mc_facts_fail(&facts, MC_ACTION_CREATE, 3, "ImageNotFound", "there is no such image", true, t);
        is(actions(t), "", "failure %d", i);
        is_int(plan.wait_ms, want, "is waited out");
        is(state(), "Failed", "failed");
        is(plan.degraded, "ImageNotFound", "with the reason");
        is(plan.message, "there is no such image", "and the message");
        t += want;
        is(actions(t), "ensure_storage create", "then tried again");
        is(plan.degraded, "ImageNotFound", "still degraded");
    }

    server.generation = 4;
    is(actions(t - 200000), "ensure_storage create", "a new generation is tried at once");
    is(plan.degraded, "", "without the old reason");

    mc_facts_fail(&facts, MC_ACTION_CREATE, 4, "InvalidSpec", "no", false, t);
    is(actions(t), "", "what only a change can help");
    is_int(plan.wait_ms, 300000, "is retried after the longest backoff");
    ok(!plan.progressing, "nothing progresses");
    mc_facts_fail(&facts, MC_ACTION_CREATE, 5, "x", "y", true, t);
    is_int(facts.failure.count, 1, "failures are counted per generation");

    reset("{}");
    obs.pod = MC_POD_EXITED;
    strcpy(obs.pod_hash, HASH);
    facts.stopped = true;
    mc_facts_fail(&facts, MC_ACTION_CREATE, 3, "StartFailed", "port in use", true, NOW);
    is(actions(NOW), "", "a failed start");
    is(actions(NOW + 1000), "remove ensure_storage create", "is tried with a new pod");
}


static void
test_blocked(void)
{
    reset("{}");
    strcpy(facts.blocked_reason, "EulaNotAccepted");
    strcpy(facts.blocked_message, "the EULA must be accepted");
    is(actions(NOW), "", "a spec that must not run");
    is(state(), "Failed", "fails");
    is(plan.degraded, "EulaNotAccepted", "with the reason");
    obs.pod = MC_POD_RUNNING;
    is(actions(NOW), "", "what runs is left running");
    is(state(), "Running", "and said to run");
    spec("{\"runPolicy\":\"Stopped\"}");
    is(actions(NOW), "console_stop", "but can be stopped");
    server.deleted = true;
    obs.pod = MC_POD_ABSENT;
    is(actions(NOW), "remove remove_storage finalize", "and deleted");
}


static void
test_delete(void)
{
    reset_running("{\"runPolicy\":\"Always\",\"storage\":{\"retention\":\"Retain\"}}");
    server.deleted = true;
    is(actions(NOW), "console_stop", "a tombstone stops the server");
    is(state(), "Deleting", "deleting");
    facts.asked_ms = NOW;
    is(actions(NOW), "", "gracefully");
    obs.pod = MC_POD_EXITED;
    is(actions(NOW), "remove", "then the pod goes");
    obs.pod = MC_POD_ABSENT;
    is(actions(NOW), "remove remove_storage finalize", "then the rest");
    ok(!plan.world, "but not the world: Retain");
    spec("{\"storage\":{\"retention\":\"Delete\"}}");
    actions(NOW);
    ok(plan.world, "the world too: Delete");
    spec("{}");
    actions(NOW);
    ok(!plan.world, "no policy retains it");
    server.purge = true;
    actions(NOW);
    ok(plan.world, "a purge takes it");

    mc_facts_fail(&facts, MC_ACTION_CREATE, 3, "VolumeInUse", "in use", true, NOW);
    is(actions(NOW), "", "a failure is waited out");
    is(state(), "Deleting", "still deleting");
    is_int(plan.wait_ms, 1000, "then");
    is(actions(NOW + 1000), "remove remove_storage finalize", "tried again");

    server.deleted = false;
    server.purge = false;
    spec("{\"storage\":{\"retention\":\"Delete\"},\"runPolicy\":\"Stopped\"}");
    is(actions(NOW), "", "without a tombstone nothing is removed");
    ok(!plan.world, "least of all the world");
}


/* A pass may be cut anywhere: whatever was observed and forgotten, the plans
 * that follow reach the wish, and no plan creates a pod beside another. */
static void
test_converges(void)
{
    int  stuck = 0, doubles = 0;

    for (int from = 0; from < 12; from++) {
        for (int wish = 0; wish < 3; wish++) {
            int64_t  now = NOW;
            int      i;

            reset(wish == 1 ? "{\"runPolicy\":\"Stopped\"}" : "{}");
            server.deleted = wish == 2;
            obs.pod = from % 6;
            obs.self_healing = from >= 6;
            obs.resource = obs.self_healing;
            strcpy(obs.pod_hash, obs.pod == MC_POD_ABSENT ? ""
                                 : obs.pod == MC_POD_CREATED ? "old" : HASH);
            obs.started_ms = now - 1000;
            obs.finished_ms = now;

            for (i = 0; i < 40; i++, now += 400000) {
                actions(now);
                for (unsigned k = 0; k < plan.n; k++) {
                    switch (plan.actions[k]) {
                    case MC_ACTION_CREATE:
                        doubles += obs.pod != MC_POD_ABSENT;
                        obs.pod = obs.self_healing ? MC_POD_PENDING
                                                   : MC_POD_RUNNING;
                        strcpy(obs.pod_hash, HASH);
                        obs.started_ms = now;
                        break;
                    case MC_ACTION_START:
                        obs.pod = MC_POD_RUNNING;
                        obs.started_ms = now;
                        break;
                    case MC_ACTION_CONSOLE_STOP:
                    case MC_ACTION_STOP:
                        obs.pod = obs.self_healing ? MC_POD_STOPPING
                                                   : MC_POD_EXITED;
                        obs.finished_ms = now;
                        break;
                    case MC_ACTION_REMOVE:
                        obs.pod = MC_POD_ABSENT;
                        break;
                    case MC_ACTION_FINALIZE:
                        i = 100;
                        break;
                    default:
                        break;
                    }
                }
                /* What goes on by itself, when nothing is done to it. */
                if (plan.n == 0 && obs.pod == MC_POD_PENDING) {
                    obs.pod = MC_POD_RUNNING;
                    obs.started_ms = now;
                } else if (plan.n == 0 && obs.pod == MC_POD_STOPPING) {
                    obs.pod = MC_POD_ABSENT;
                }
                /* Everything is forgotten between two steps. */
                memset(&facts, 0, sizeof(facts));
                facts.players = -1;
                facts.was_ready = obs.pod == MC_POD_RUNNING;
                facts.ping = obs.pod == MC_POD_RUNNING ? MC_PING_ANSWERED
                                                       : MC_PING_UNKNOWN;
            }
            stuck += wish == 0 ? plan.state != MC_STATE_RUNNING
                   : wish == 1 ? plan.state != MC_STATE_STOPPED : i < 100;
        }
    }
    is_int(stuck, 0, "every wish is reached from everywhere");
    is_int(doubles, 0, "never two pods");
}


int
main(void)
{
    test_create();
    test_running();
    test_stop();
    test_stop_without_console();
    test_wish_changes();
    test_restart();
    test_change();
    test_crash();
    test_failure();
    test_blocked();
    test_delete();
    test_converges();
    pool_free(&pool);
    return done_testing();
}
