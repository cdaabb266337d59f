# What the reconciler does when something is away or wrong: Podman hangs, the
# database or Redis is gone, it is killed while a log is followed, rows are
# wrong or missing. Rows are written by SQL, as a careless operator would.

use lib 't/lib';
use MCHost::Test;
use Digest::SHA qw(hmac_sha256_hex);
use IO::Socket::INET;
use JSON::PP;
use Time::HiRes qw(sleep time);

my $t = MCHost::Test->new(nginx => 0, podman => 1, reconciler => { ping_interval => '1s' });
my ($podman, $recon) = ($t->podman, $t->recon);
my $acme = $t->tenant('acme');
my $js = JSON::PP->new->canonical;

sub status { my $s = $t->sql("SELECT status FROM server_status WHERE server_id = '$_[0]'"); return $s ? $js->decode($s) : {} }
sub cond { my ($id, $type) = @_; my ($c) = grep { $_->{type} eq $type } @{ status($id)->{conditions} // [] }; return $c // { status => '', reason => '' } }
sub wake { my ($id) = @_; eval { $t->redis->call(PUBLISH => 'mchost:wake', "$acme->{id} $id") } }
sub container { my ($id) = @_; return $podman->inspect('container', "mc-$id-server") }
sub later { my ($what, $timeout, $cond) = @_; return ok(eval { wait_for { $cond->() } $what, $timeout }, $what) || diag($@, $recon->tail) }

sub insert {
    my ($name, %spec) = @_;

    my ($id, $spec) = (uuid7(), $js->encode($t->spec(%spec)));
    $t->sql("INSERT INTO servers (tenant_id, id, name, spec) VALUES ('$acme->{id}', '$id', '$name', '$spec')");
    wake($id);
    return $id;
}

sub change {
    my ($id, $set) = @_;

    $t->sql("UPDATE servers SET $set, generation = generation + 1, updated_at = now() WHERE id = '$id'");
    wake($id);
}

sub state_is {
    my ($id, $state, $timeout) = @_;

    return later($state, $timeout // 60, sub {
        $t->sql("SELECT st.status ->> 'state' FROM servers s JOIN server_status st ON st.server_id = s.id AND st.observed_generation = s.generation"
            . " WHERE s.id = '$id'") eq $state;
    });
}

# The lines in the server's stream, as [time, text].
sub lines {
    my ($id) = @_;

    return map { my %f = @{ $_->[1] }; [ $f{time}, $js->decode($f{data})->{line} ] } @{ $t->redis->call(XRANGE => "mchost:log:$id", '-', '+') };
}

sub doubled {
    my ($id) = @_;

    my %seen;
    return grep { $seen{"@$_"}++ } lines($id);
}

# What a console command is answered with; undef: nothing.
sub command {
    my ($id, $line, %o) = @_;

    my ($request, $c) = (uuid7(), $t->redis->client('nginx'));
    $c->call(SUBSCRIBE => "mchost:reply:$request");
    $t->redis->client('nginx')->call('XADD', 'mchost:cmd', '*', id => $request, tenant => $o{tenant} // $acme->{id}, server => $id,
        op => 'console', arg => $line, deadline => int(time * 1000) + ($o{ms} // 5000));
    my $m = eval { $c->message($o{wait} // 8) };
    return $m ? $js->decode($m->[1]) : undef;
}

my $id = insert('one', shutdown => { graceSeconds => 20 });
state_is($id, 'Running');

subtest 'console' => sub {
    like(command($id, 'list')->{output}, qr/There are 0 of a max/, 'answers');
    is(command($id, 'list', tenant => uuid7())->{error}{code}, 'unavailable', 'not to another tenant');
    is(command(uuid7(), 'list')->{error}{code}, 'unavailable', 'nor for an unknown server');
    is(command($id, 'say too late', ms => -1, wait => 1), undef, 'one past its deadline is not run');
    ok(!(grep { $_->[1] =~ /too late/ } lines($id)), 'really not');
    my $off = insert('off', runPolicy => 'Stopped');
    state_is($off, 'Stopped');
    is(command($off, 'list')->{error}{code}, 'not_running', 'nor by one that is stopped');
};

subtest 'quiet' => sub {
    sleep 2;
    my $seq = $t->sql('SELECT sum(seq) FROM server_status');
    sleep 3;
    is($t->sql('SELECT sum(seq) FROM server_status'), $seq, 'nothing is written when nothing changes');
};

subtest 'Podman hangs' => sub {
    $podman->proxy->mode('hang');
    later('Degraded', 30, sub { cond($id, 'Degraded')->{reason} eq 'EngineUnavailable' });
    is(cond($id, 'Ready')->{status}, 'True', 'the game answers and is Ready');
    is($recon->admin('/livez'), 200, 'the reconciler lives');
    is($recon->admin('/readyz'), 200, 'and is ready');
    $podman->proxy->mode('pass');
    $podman->proxy->drop;
    later('recovered', 30, sub { cond($id, 'Degraded')->{status} eq 'False' });
};

subtest 'the database is away' => sub {
    my $started = status($id)->{startedAt};
    $t->pg->stop;
    later('not ready', 10, sub { $recon->admin('/readyz') == 503 });
    is($recon->admin('/livez'), 200, 'but alive');
    my $before = container($id)->{State};
    kill 9, $before->{Pid};
    later('a crashed server is started all the same', 30, sub { my $s = container($id)->{State}; $s->{Running} && $s->{StartedAt} ne $before->{StartedAt} });
    $t->pg->start;
    later('ready again', 30, sub { $recon->admin('/readyz') == 200 });
    later('the status tells of the new start', 30, sub {
        (status($id)->{startedAt} // '') ne $started && cond($id, 'Ready')->{status} eq 'True' && cond($id, 'Degraded')->{status} eq 'False';
    });
};

# Minecraft's RCON, once.
sub rcon {
    my ($addr, $password, @commands) = @_;

    my $s = IO::Socket::INET->new(PeerAddr => "$addr:25575", Timeout => 5) or die "$addr: $!\n";
    my $ask = sub {
        my ($type, $body) = @_;
        my $p = pack('l<l<', 7, $type) . "$body\0\0";
        $s->syswrite(pack('l<', length $p) . $p);
        my $in = '';
        sysread($s, $in, 4096, length $in) or die "RCON closed\n" while length $in < 4 || length $in < 4 + unpack('l<', $in);
    };
    $ask->(3, $password);
    $ask->(2, $_) for @commands;
}

subtest 'no line is lost or doubled' => sub {
    my $addr = (values %{ container($id)->{NetworkSettings}{Networks} })[0]{IPAddress}
        || (grep { length } map { $_->{IPAddress} } values %{ $podman->inspect('container', container($id)->{Pod} ? "mc-$id-infra" : '')->{NetworkSettings}{Networks} // {} })[0]
        || $podman->podman('exec', "mc-$id-server", 'hostname', '-i') =~ s/\s.*//sr;
    my $password = hmac_sha256_hex($id, slurp("$t->{dir}/rcon.secret"));

    for my $round (1 .. 4) {
        rcon($addr, $password, map { "say line $round.$_" } 1 .. 25);
        $recon->kill9;
        rcon($addr, $password, map { "say line $round.$_" } 26 .. 50);
        wait_for { !$recon->{proc}->alive } 'its end';
        $recon->start;
    }

    later('all lines are there', 20, sub { (grep { $_->[1] =~ /line \d\.\d+/ } lines($id)) >= 200 });
    is_deeply([ map { $_->[1] =~ /line (\d\.\d+)/ ? $1 : () } lines($id) ], [ map { my $r = $_; map { "$r.$_" } 1 .. 50 } 1 .. 4 ], 'in order, each once');

    $t->redis->stop;
    rcon($addr, $password, 'say while Redis was away');
    $t->redis->start;
    later('and those of a time without Redis', 30, sub { grep { $_->[1] =~ /while Redis was away/ } lines($id) });
    is_deeply([ doubled($id) ], [], 'none twice');
};

subtest 'specs that cannot run' => sub {
    my $eula = insert('eula', software => { type => 'vanilla', version => '1.20.4' });
    state_is($eula, 'Failed');
    is(cond($eula, 'Degraded')->{reason}, 'EulaNotAccepted', 'the EULA');
    my $wrong = insert('wrong', nonsense => 1);
    state_is($wrong, 'Failed');
    is(cond($wrong, 'Degraded')->{reason}, 'InvalidSpec', 'an unknown field');
    like(status($wrong)->{message}, qr{/spec/nonsense}, 'is named');
    change($wrong, "spec = spec - 'nonsense'");
    state_is($wrong, 'Running');
    is(cond($wrong, 'Degraded')->{status}, 'False', 'a mended one runs');

    for ($eula, $wrong) {
        change($_, 'deleted_at = now(), purge = true');
    }

    later('both can be deleted', 60, sub { $t->sql("SELECT count(*) FROM server_status WHERE finalized_at IS NOT NULL AND server_id IN ('$eula', '$wrong')") eq '2' });
};

subtest 'a pod without a row' => sub {
    my $lost = insert('lost');
    state_is($lost, 'Running');
    ok($recon->stop, 'stopped');
    $t->sql("DELETE FROM server_status WHERE server_id = '$lost'; DELETE FROM servers WHERE id = '$lost'");
    $recon->start;
    later('is reported at start', 20, sub { slurp($recon->{log}) =~ /does not know.*"server":"$lost"/ });
    like(($recon->admin('/metrics'))[1], qr/^mchost_orphans 1$/m, 'and counted');
    ok(container($lost)->{State}{Running}, 'and left running');
    my $before = container($lost)->{State}{StartedAt};
    $t->sql("INSERT INTO servers (tenant_id, id, name, spec) VALUES ('$acme->{id}', '$lost', 'lost', '" . $js->encode($t->spec) . "')");
    wake($lost);
    state_is($lost, 'Running');
    is(container($lost)->{State}{StartedAt}, $before, 'when its row is back it is taken over without a restart');
    later('and no orphan any more', 10, sub { ($recon->admin('/metrics'))[1] =~ /^mchost_orphans 0$/m });
};

subtest 'command line and settings' => sub {
    my ($rc, $said) = $recon->run('-t');
    is($rc, 0, '-t') or diag $said;
    like($said, qr/settings in .* are good/, 'says so');
    ($rc, $said) = $recon->run('--version');
    like($said, qr/^mchost-reconciler /, '--version');
    ($rc, $said) = $recon->run('--nonsense');
    is($rc, 2, 'an unknown option');
    like($said, qr/^Usage: /m, 'explains');
    open my $f, '>', "$t->{dir}/wrong.conf" or die $!;
    print $f "workers 4;\nlog_lvel info;\n";
    close $f;
    ($rc, $said) = $recon->run('-c', "$t->{dir}/wrong.conf", '-t');
    is($rc, 1, 'a wrong setting');
    like($said, qr{wrong\.conf:2: unknown setting "log_lvel"}, 'with its line');
    ($rc, $said) = $recon->run('-c', "$t->{dir}/none.conf", '-t');
    like($said, qr/none\.conf: No such file/, 'a file that is not there');
};

subtest 'admin listener' => sub {
    is($recon->admin('/nothing'), 404, 'an unknown path');
    my ($port) = $recon->{settings}{admin_listen} =~ /(\d+)$/;
    my $talk = sub {
        my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 5) or die $!;
        $s->syswrite($_[0]);
        local $/;
        return readline($s) // '';
    };
    like($talk->("POST /metrics HTTP/1.1\r\n\r\n"), qr/^HTTP\/1.1 405 .*Allow: GET, HEAD/s, 'another method');
    like($talk->("GET /livez HTTP/1.1\r\nX: " . 'x' x 5000), qr/^HTTP\/1.1 431 /, 'an endless head');
    like($talk->("HEAD /livez HTTP/1.0\n\n"), qr/^HTTP\/1.1 200 OK.*\r\n\r\n$/s, 'HEAD');
    my $metrics = ($recon->admin('/metrics'))[1];
    like($metrics, qr/^\Q$_\E/m, $_) for qw(workqueue_depth{ workqueue_adds_total{ workqueue_queue_duration_seconds_bucket{
        workqueue_work_duration_seconds_count{ workqueue_retries_total{ controller_runtime_reconcile_total{
        controller_runtime_reconcile_time_seconds_bucket{ controller_runtime_active_workers{ rest_client_requests_total{
        leader_election_master_status{ mchost_servers mchost_engine_up);
};

done_testing();
