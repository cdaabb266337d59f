/*
 * The planner, where Kubernetes runs the servers; and what both engines do to
 * a running one.
 */

#include "plan_case.h"


/* One that Kubernetes runs. */
static void
reset_healed(const char *text)
{
    reset_running(text);
    obs.self_healing = true;
    obs.resource = true;
}


static void
test_engine_stops(void)
{
    reset_healed("{\"runPolicy\":\"Stopped\",\"shutdown\":"
                 "{\"announceSeconds\":30,\"graceSeconds\":90}}");
    facts.players = 2;
    is(actions(NOW), "announce", "players are told first");
    facts.announced_ms = NOW;
    is(actions(NOW + 1000), "", "and have time");
    is_int(plan.wait_ms, 29000, "until it is over");
    is(actions(NOW + 30000), "stop", "then the engine stops it, not the console");
    is_int(plan.grace_s, 90, "with the whole grace time");
    is(state(), "Stopping", "stopping");

    obs.pod = MC_POD_STOPPING;
    is(actions(NOW + 31000), "", "it saves");
    ok(plan.stopping && plan.wait_ms > 0, "and is waited for");
    obs.pod = MC_POD_ABSENT;
    is(actions(NOW + 32000), "", "gone");
    is(state(), "Stopped", "stopped");

    reset_healed("{\"runPolicy\":\"Stopped\",\"shutdown\":{\"announceSeconds\":30}}");
    obs.pod = MC_POD_PENDING;
    facts.players = 3;
    is(actions(NOW), "stop", "one that never came up is stopped at once");
    is_int(plan.grace_s, 60, "with the usual grace time");

    reset_healed("{\"restartToken\":\"2\"}");
    strcpy(obs.pod_restart, "1");
    is(actions(NOW), "stop", "a restart is a stop");
    obs.pod = MC_POD_STOPPING;
    is(actions(NOW), "", "until the pod is gone");
    is(state(), "Stopping", "stopping");
    obs.pod = MC_POD_ABSENT;
    is(actions(NOW), "ensure_storage create", "then a new one is made");
}


static void
test_pending(void)
{
    reset_healed("{}");
    obs.pod = MC_POD_PENDING;
    facts.was_ready = false;
    is(actions(NOW), "", "the engine is at it");
    is(state(), "Starting", "starting");
    ok(plan.progressing && plan.degraded[0] == '\0', "and well");

    strcpy(obs.trouble.reason, "ImagePullFailed");
    strcpy(obs.trouble.message, "no such host");
    is(actions(NOW), "", "trouble is the engine's to retry");
    is(state(), "Starting", "still starting");
    is(plan.degraded, "ImagePullFailed", "degraded");
    is(plan.message, "no such host", "with the message");

    strcpy(obs.trouble.reason, "InvalidImageName");
    is(actions(NOW), "", "nothing helps but a change");
    is(state(), "Failed", "failed");
    ok(!plan.progressing, "nothing progresses");

    strcpy(obs.trouble.reason, "CrashLoopBackOff");
    obs.restarts = 2;
    actions(NOW);
    is(state(), "Starting", "two crashes");
    obs.restarts = 4;
    actions(NOW);
    is(state(), "Failed", "four crashes in a row");

    strcpy(obs.pod_hash, "old");
    is(actions(NOW), "stop", "a changed spec replaces a pod that is not up");
    obs.trouble.reason[0] = '\0';
    obs.pod_hash[0] = '\0';
    is(actions(NOW), "", "a pod that is not there yet is waited for");

    strcpy(obs.storage_trouble.reason, "ClaimPending");
    strcpy(obs.storage_trouble.message, "no volume");
    actions(NOW);
    is(plan.degraded, "ClaimPending", "trouble with the volume degrades too");
}


static void
test_mend(void)
{
    reset_healed("{}");
    obs.stale = true;
    is(actions(NOW), "apply", "drift is repaired while it runs");
    is(state(), "Running", "which it goes on to do");
    obs.resize = true;
    facts.hot = true;
    is(actions(NOW), "apply resize hot", "all that needs no restart");
    facts.ping = MC_PING_UNKNOWN;
    is(actions(NOW), "apply resize", "a game that has not answered is not spoken to");

    mc_facts_fail(&facts, MC_ACTION_APPLY, 3, "Forbidden", "no right", true, NOW);
    is(actions(NOW), "", "a failure is waited out");
    is(state(), "Running", "it runs all the same");
    is(plan.degraded, "Forbidden", "degraded");
    is_int(plan.wait_ms, 1000, "a while");
    is(actions(NOW + 1000), "apply resize", "then again");
    spec("{\"runPolicy\":\"Stopped\"}");
    is(actions(NOW), "stop", "a stop does not wait for it");
    spec("{}");

    strcpy(obs.pod_hash, "old");
    facts.recount_ms = NOW;
    is(actions(NOW + 1000), "stop", "a restart comes first");
    obs.pod = MC_POD_PENDING;
    strcpy(obs.pod_hash, HASH);
    is(actions(NOW + 1000), "apply", "before it runs there is only what is beside it");
    obs.pod = MC_POD_ABSENT;
    is(actions(NOW + 1000), "ensure_storage create", "a new pod brings everything");

    reset("{}");
    obs.pod = MC_POD_EXITED;
    strcpy(obs.pod_hash, HASH);
    facts.stopped = true;
    facts.made_old = true;
    is(actions(NOW), "remove ensure_storage create",
       "what the console changed needs a new pod at the next start");
}


static void
test_window(void)
{
    reset_running("{\"shutdown\":{\"announceSeconds\":30}}");
    strcpy(obs.pod_hash, "old");
    facts.players = 2;
    facts.window_ms = 60000;
    is(actions(NOW), "", "outside of the window");
    ok(plan.restart_pending, "the restart is pending");
    is_int(plan.wait_ms, 60000, "until it opens");
    facts.window = true;
    is(actions(NOW), "announce", "in it the players are told");
    is(state(), "Stopping", "it stops");
    facts.announced_ms = NOW;
    is(actions(NOW + 30000), "console_stop", "and restarts");
    strcpy(obs.pod_hash, HASH);
    facts.announced_ms = 0;
    is(actions(NOW), "", "a window alone restarts nothing");
}


static void
test_resource(void)
{
    reset("{}");
    obs.self_healing = true;
    obs.resource_stale = true;
    is(actions(NOW), "ensure_resource", "the resource comes before all else");
    is(state(), "Pending", "pending");
    mc_facts_fail(&facts, MC_ACTION_ENSURE_RESOURCE, 3, "Forbidden", "no right", true, NOW);
    is(actions(NOW), "", "a failure is waited out");
    is(state(), "Failed", "failed");
    is(plan.degraded, "Forbidden", "with the reason");

    reset_healed("{\"runPolicy\":\"Stopped\"}");
    obs.resource_stale = true;
    is(actions(NOW), "ensure_resource", "also of a stopped server");
    is(state(), "Running", "which is said to be what it is");

    reset_healed("{\"shutdown\":{\"graceSeconds\":60}}");
    obs.resource_deleting = true;
    is(actions(NOW), "stop", "a resource deleted by hand takes its pod along");
    obs.pod = MC_POD_STOPPING;
    is(actions(NOW), "", "gracefully");
    obs.pod = MC_POD_ABSENT;
    is(actions(NOW), "remove remove_resource", "then it may go, not the world");
    obs.resource = obs.resource_deleting = false;
    obs.resource_stale = true;
    is(actions(NOW), "ensure_resource", "then it comes again");
}


static void
test_two_keys(void)
{
    reset_healed("{\"storage\":{\"retention\":\"Delete\"}}");
    server.gitops = server.deleted = true;
    obs.pod = MC_POD_ABSENT;
    is(actions(NOW), "remove remove_storage remove_resource finalize",
       "the finalizer goes last");
    ok(!plan.world, "a resource's policy alone does not destroy a world");
    server.purge = true;
    actions(NOW);
    ok(plan.world, "with the annotation it does");
    spec("{}");
    actions(NOW);
    ok(!plan.world, "nor does the annotation alone");
    obs.paused = true;
    is(actions(NOW), "remove remove_storage remove_resource finalize",
       "a pause does not hold a deletion up");
}


static void
test_paused(void)
{
    reset_healed("{\"runPolicy\":\"Stopped\"}");
    obs.paused = obs.stale = obs.resource_stale = true;
    is(actions(NOW), "", "nothing is done");
    ok(plan.paused && !plan.progressing, "paused");
    is(state(), "Running", "but said what is");
    obs.resource_deleting = true;
    is(actions(NOW), "stop", "a deletion is honoured");
}


int
main(void)
{
    test_engine_stops();
    test_pending();
    test_mend();
    test_window();
    test_resource();
    test_two_keys();
    test_paused();
    pool_free(&pool);
    return done_testing();
}
