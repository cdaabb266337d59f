# The whole path with real Podman and the demo server: made over REST, joined
# by a real client, its console live on a WebSocket; stop, restart, changes,
# crash, faults, delete.

use lib 't/lib';
use MCHost::Test;
use MCHost::Bot;
use Time::HiRes qw(time sleep);

my $t = MCHost::Test->new(podman => 1, reconciler => { ping_interval => '1s', start_timeout => '2m' });
my $podman = $t->podman;
my $acme = $t->tenant('acme');
my ($id, $pod);

sub api { my ($method, $path, %o) = @_; return $t->api($method, $path, key => $acme->{key}, timeout => 30, %o) }
sub doc { return api(GET => "/servers/" . ($_[0] // $id))->json }
sub status { return doc($_[0])->{status} }

sub cond {
    my ($type, $server) = @_;

    my ($c) = grep { $_->{type} eq $type } @{ status($server)->{conditions} // [] };
    return $c // { status => 'none', reason => 'none' };
}

sub state_is {
    my ($state, $name, $server, $timeout) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $ok = eval { wait_for { my $s = status($server); $s->{state} eq $state && ($s->{observedGeneration} // 0) == doc($server)->{generation} } $state, $timeout // 60 };
    ok($ok, $name) or diag "$@", explain(status($server)), $t->recon->tail;
    return $ok;
}

sub ready {
    my ($name, $server) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $ok = state_is('Running', $name, $server) && eval { wait_for { cond('Ready', $server)->{status} eq 'True' } 'Ready', 60 };
    ok($ok, "$name: Ready") or diag explain(status($server));
}

sub started { return ($podman->inspect('container', "$pod-server") // {})->{State}{StartedAt} // '' }

# The kernel's limit of processes for that of a pid, in version 1 or 2 of cgroups.
sub pids_max {
    my ($path) = slurp("/proc/$_[0]/cgroup") =~ /^(?:\d+:pids|0:):(.*)/m;
    my ($file) = grep { -f } map { "/sys/fs/cgroup$_$path/pids.max" } '/pids', '';
    return $file ? slurp($file) + 0 : 'no limit found';
}

# Which ports of the pods' bridges are isolated: "1" or "0" for each.
sub isolated {
    my @hashes = map { /-([0-9a-f]{8})$/ } split /\n/, $podman->podman(qw(network ls --format {{.Name}}));
    return map { slurp($_) + 0 } map { glob "/sys/class/net/mc-$_/brif/*/isolated" } @hashes;
}

sub console { my ($command) = @_; return api(POST => "/servers/$id/console", body => { command => $command }) }
sub join_as { my ($name) = @_; my $a = status()->{address}; return MCHost::Bot->join_game(root(), $a->{host}, $a->{port}, $name) }

my $ws = $t->ws(key => $acme->{key}, timeout => 60);
$ws->ask({ op => 'subscribe', topics => [qw(status logs)], servers => ['*'] });

sub ws_line { my ($re) = @_; return $ws->expect(sub { $_->{op} eq 'event' && $_->{topic} eq 'logs' && $_->{data}{line} =~ $re }, 60) }

subtest 'create' => sub {
    my $d = $t->server($acme, 'lobby', properties => { motd => 'Welcome to the lobby', maxPlayers => 7 });
    ($id, $pod) = ($d->{id}, "mc-$d->{id}");
    my $start = time;
    ready('runs');
    diag sprintf 'running after %.1f s', time - $start;
    my $s = status();
    is($s->{address}{host}, '127.0.0.1', 'address');
    like($s->{address}{port}, qr/^\d+$/, 'and port');
    is($s->{players}{max}, 7, 'players.max is that of the spec');
    is($s->{players}{online}, 0, 'nobody is online');
    is($s->{version}, '1.20.4', 'version');
    is(cond($_)->{status}, 'True', $_) for qw(StorageReady ConfigInSync);
    is(cond($_)->{status}, 'False', $_) for qw(RestartPending Degraded);
    ok($s->{startedAt}, 'startedAt');
    ok(eval { ws_line(qr/Done \(/) }, 'its log reaches the socket') or diag $@;
    ok(eval { $ws->expect(sub { $_->{op} eq 'event' && $_->{topic} eq 'status' && $_->{data}{state} eq 'Running' }, 30) }, 'and its state');
    is($t->sql("SELECT count(*) FROM server_status WHERE server_id = '$id'"), '1', 'one row of status');
};

subtest 'what it is made of' => sub {
    is_deeply([ $podman->names('pods') ], [$pod], 'one pod');
    ok((grep { $_ eq $pod } $podman->names('volumes')), 'a volume');
    is_deeply([ $podman->names('secrets') ], [$pod], 'a secret');
    my $c = $podman->inspect('container', "$pod-server");
    my $l = $podman->inspect('pod', $pod)->{Labels} // {};
    is($l->{'app.kubernetes.io/name'}, 'minecraft', 'labels: name');
    is($l->{'app.kubernetes.io/instance'}, 'lobby', 'instance');
    is($l->{'app.kubernetes.io/managed-by'}, 'mchost', 'managed-by');
    is($l->{'mchost.io/tenant'}, $acme->{id}, 'tenant');
    is($l->{'mchost.io/server-id'}, $id, 'server id');
    is(pids_max($c->{State}{Pid}), 4096, 'processes are limited');
    is_deeply([ isolated() ], [1], 'and the pod is kept from others');
    my ($password) = map { /^RCON_PASSWORD=(.*)/ } @{ $c->{Config}{Env} };
    my $properties = $podman->podman('exec', "$pod-server", 'cat', '/config/server.properties');
    like($properties, qr/^motd=Welcome to the lobby$/m, 'server.properties');
    unlike($properties, qr/rcon\.password/, 'without the password of RCON');
    if ($password) {
        for my $where ([ 'the log of the reconciler', slurp($t->recon->{log}) ], [ 'the document', api(GET => "/servers/$id")->body ],
            [ 'the database', $t->sql('SELECT status::text FROM server_status') ], [ 'the console log', join '', map { "@{ $_->[1] }" } @{ $t->redis->call('XRANGE', "mchost:log:$id", '-', '+') } ])
        {
            unlike($where->[1], qr/\Q$password\E/, "the password is not in $where->[0]");
        }
    }
};

subtest 'a player' => sub {
    my $bot = join_as('Steve');
    pass('joins');
    ok(eval { wait_for { status()->{players}{online} == 1 } 'one online', 30 }, 'is counted');
    ok(eval { ws_line(qr/Steve joined the game/) }, 'the console says so');
    $bot->chat('hello from steve');
    ok(eval { ws_line(qr/<Steve> hello from steve/) }, 'chat appears on the WebSocket') or diag $@;

    my $r = console('say hi over REST');
    is($r->status, 200, 'console over REST') or diag $r->body;
    ok(eval { $bot->expect_chat(qr/hi over REST/) }, 'say reaches the player') or diag $@;
    like(console('list')->json->{output}, qr/There are 1 of a max of 7 players online: Steve/, 'list answers');

    my $a = $ws->ask({ op => 'command', server => $id, command => 'say hi over the socket' }, 30);
    is($a->{op}, 'result', 'console over the socket');
    ok(eval { $bot->expect_chat(qr/hi over the socket/) }, 'reaches the player') or diag $@;

    # a change that needs a restart waits for the last player
    my $before = started();
    my $etag = api(GET => "/servers/$id")->header('ETag');
    is(api(PATCH => "/servers/$id", body => { spec => { properties => { motd => 'Changed' } } }, headers => { 'If-Match' => $etag })->status, 200, 'a change of the properties');
    ok(eval { wait_for { cond('RestartPending')->{status} eq 'True' } 'RestartPending' }, 'RestartPending while somebody plays') or diag explain(status());
    is(started(), $before, 'no restart');
    $bot->quit;
    ok(eval { wait_for { started() ne $before } 'a restart', 60 }, 'restarts once all have left');
    ready('runs again');
    is(cond('RestartPending')->{status}, 'False', 'nothing is pending');
    like($podman->podman('exec', "$pod-server", 'cat', '/data/server.properties'), qr/^motd=Changed$/m, 'the change is there');
};

subtest 'the world survives' => sub {
    is(console('setblock 5 20 5 stone')->status, 200, 'a block is set');
    sleep 2;                    # the saver of the server runs once a second
    my $port = status()->{address}{port};
    my $before = started();
    is(api(POST => "/servers/$id/actions/restart")->status, 202, 'restart');
    ok(eval { wait_for { started() ne $before } 'a restart', 60 }, 'restarted');
    ready('runs again');
    is(status()->{address}{port}, $port, 'on the same port');
    my $bot = join_as('Alex');
    $bot->tell('block 5 20 5');
    is($bot->expect(sub { $_[0]{event} eq 'block' })->{name}, 'stone', 'the block is still there');
    $bot->quit;
};

subtest 'stop and start' => sub {
    api(POST => "/servers/$id/actions/stop");
    state_is('Stopped', 'stopped');
    is_deeply([ $podman->names('running') ], [], 'nothing runs');
    my $log = join "\n", map { "@{ $_->[1] }" } @{ $t->redis->call('XRANGE', "mchost:log:$id", '-', '+') };
    like($log, qr/Stopping the server/, 'in good order');
    is(console('list')->status, 409, 'no console');
    api(POST => "/servers/$id/actions/start");
    ready('started');
    is(pids_max($podman->inspect('container', "$pod-server")->{State}{Pid}), 4096, 'processes are limited again');
    is_deeply([ isolated() ], [1], 'the pod is kept from others again');
};

subtest 'kill' => sub {
    my $r = api(POST => "/servers/$id/actions/kill");
    is($r->status, 202, 'taken');
    state_is('Stopped', 'stopped');
    is_deeply([ $podman->names('running') ], [], 'nothing runs');
    is($podman->inspect('container', "$pod-server")->{State}{ExitCode}, 137, 'without time to save');
    wait_for { api(GET => "/servers/$id/operations/" . $r->json->{id})->json->{state} eq 'Succeeded' } 'the operation to be done';
    api(POST => "/servers/$id/actions/start");
    ready('started again');
};

subtest 'a crash' => sub {
    my $before = started();
    my $pid = $podman->inspect('container', "$pod-server")->{State}{Pid};
    kill KILL => $pid;
    ok(eval { wait_for { my $s = started(); $s && $s ne $before } 'a new start', 60 }, 'is restarted');
    ready('runs again');
};

subtest 'the reconciler is away' => sub {
    my $before = started();
    $t->recon->kill9;
    is(doc()->{status}{state}, 'Running', 'the game goes on');
    is(started(), $before, 'untouched');
    $t->recon->start;
    sleep 2;
    is(started(), $before, 'also by its return');
    is(console('list')->status, 200, 'the console works again');
    ok($t->recon->stop, 'it ends in good order');
    $t->recon->start;
    is(started(), $before, 'and returns without a restart');
};

subtest 'Podman is away' => sub {
    my $before = started();
    $podman->proxy->mode('refuse');
    $podman->proxy->drop;
    api(PATCH => "/servers/$id", body => { spec => { restartToken => 'away' } }, headers => { 'If-Match' => api(GET => "/servers/$id")->header('ETag') });
    ok(eval { wait_for { my $c = cond('Degraded'); $c->{status} eq 'True' && $c->{reason} eq 'EngineUnavailable' } 'Degraded', 30 }, 'Degraded with the reason') or diag explain(status());
    ok($t->recon->admin('/livez') == 200, 'the reconciler lives');
    $podman->proxy->mode('pass');
    ok(eval { wait_for { started() ne $before } 'the restart', 60 }, 'what was asked is done after');
    ready('recovers');
    is(cond('Degraded')->{status}, 'False', 'no longer Degraded');
};

subtest 'Redis is away' => sub {
    $t->redis->stop;
    my $e = api(GET => "/servers/$id")->header('ETag');
    api(PATCH => "/servers/$id", body => { spec => { runPolicy => 'Stopped' } }, headers => { 'If-Match' => $e });
    state_is('Stopped', 'a lost hint is made up for by the poll');
    $t->redis->start;
    api(POST => "/servers/$id/actions/start");
    ready('started');
    ok(eval { wait_for { console('list')->status == 200 } 'the console', 30 }, 'the console works again');
};

subtest 'an image that does not exist' => sub {
    my $bad = $t->server($acme, 'noimage', software => { type => 'custom', version => '1', image => 'localhost/nothing:1', imagePullPolicy => 'Never' }, eula => { accepted => true });
    ok(eval { wait_for { my $c = cond('Degraded', $bad->{id}); $c->{status} eq 'True' && $c->{reason} =~ /Image/ } 'Degraded', 30 }, 'a condition with the reason') or diag explain(status($bad->{id})), $t->recon->tail;
    my $seq = sub { $t->sql("SELECT seq FROM server_status WHERE server_id = '$bad->{id}'") };
    my $before = $seq->();
    my $writes = $podman->proxy->writes;
    sleep 4;
    cmp_ok($seq->() - $before, '<=', 3, 'no hot loop');
    ok(!(grep { /$bad->{id}/ } $podman->names('pods')), 'nothing is left of the failed start');
    is(api(DELETE => "/servers/$bad->{id}?purge=true")->status =~ /^20/, 1, 'delete');
    ok(eval { wait_for { api(GET => "/servers/$bad->{id}")->status == 404 } 'gone', 60 }, 'gone');
    ok(!(grep { /$bad->{id}/ } map { $podman->names($_) } qw(pods volumes secrets)), 'with all it had');
};

subtest 'two servers' => sub {
    my $other = $t->server($acme, 'second');
    ready('a second one runs', $other->{id});
    isnt(status($other->{id})->{address}{port}, status()->{address}{port}, 'on a port of its own');
    api(DELETE => "/servers/$other->{id}");
    ok(eval { wait_for { api(GET => "/servers/$other->{id}")->status == 404 } 'gone', 60 }, 'deleted');
    ok((grep { $_ eq "mc-$other->{id}" } $podman->names('volumes')), 'its world is kept');
    ok(!(grep { /$other->{id}/ } $podman->names('pods'), $podman->names('secrets')), 'pod and secret are gone');
    is(status()->{state}, 'Running', 'the first is untouched');
};

subtest 'a row that vanished destroys nothing' => sub {
    my $lost = $t->server($acme, 'lost');
    ready('runs', $lost->{id});
    $t->sql("DELETE FROM server_status WHERE server_id = '$lost->{id}'; DELETE FROM servers WHERE id = '$lost->{id}'");
    $t->recon->stop;
    $t->recon->start;
    sleep 3;
    ok((grep { $_ eq "mc-$lost->{id}" } $podman->names('volumes')), 'the world is there');
};

subtest 'delete with the world' => sub {
    my $log = "mchost:log:$id";
    api(DELETE => "/servers/$id?purge=true");
    ok(eval { wait_for { api(GET => "/servers/$id")->status == 404 } 'gone', 60 }, 'gone') or diag explain(status());
    ok(!(grep { /$id/ } map { $podman->names($_) } qw(pods volumes secrets)), 'with pod, secret and world');
    is($t->sql("SELECT count(*) FROM server_status WHERE server_id = '$id' AND finalized_at IS NOT NULL"), '1', 'finalized');
};

$ws->abandon;
done_testing;
