# The second door: a server made over REST, whose row becomes a MinecraftServer
# and everything below it.
# sanitized: only

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(kube => 1, reconciler => { ping_interval => '1s' });
my $kube = $t->kube;
my $recon = $t->recon;

sub later { my ($what, $timeout, $cond) = @_; return ok(eval { wait_for { $cond->() } $what, $timeout }, $what) || diag($@, $recon->tail) }

my $acme = $t->tenant('acme');
my $ns = $kube->prefix . $acme->{id};
my $doc = $t->server($acme, 'lobby', storage => { size => '1Gi' }, shutdown => { announceSeconds => 0, graceSeconds => 30 });
my $id = $doc->{id};
my $status = sub { return $t->api(GET => "/servers/$id", key => $acme->{key})->json->{status} };
my $cond = sub { my ($type) = @_; return (grep { $_->{type} eq $type } @{ $status->()->{conditions} // [] })[0]{status} // '' };
my $get = sub { return $kube->get(MinecraftServer => 'lobby', ns => $ns) };
my $claim = sub { return $kube->get(PersistentVolumeClaim => "mc-$id", ns => $ns) };
my $runs = sub { return later($_[0] // 'Running', 120, sub { $status->()->{state} eq 'Running' && $cond->('Ready') eq 'True' }) };

subtest 'a row is a resource' => sub {
    $runs->();
    my $s = $get->();
    is($s->{metadata}{labels}{'mchost.io/server-id'}, $id, 'its id');
    is($s->{metadata}{labels}{'mchost.io/spec-owner'}, 'db', 'and owner');
    is($s->{spec}{software}{type}, 'demo', 'the spec');
    is($kube->get(Namespace => $ns)->{metadata}{labels}{'mchost.io/tenant'}, $acme->{id}, "in its tenant's namespace");
    later('the resource tells the same', 30, sub {
        my $c = $get->();
        return ($c->{status}{state} // '') eq 'Running' && $c->{status}{observedGeneration} == $c->{metadata}{generation}
            && $kube->condition($c, 'Ready')->{status} eq 'True';
    });
    is($status->()->{storage}{claimName}, "mc-$id", 'the claim');
};

subtest 'logs and console' => sub {
    my $lines = sub { return map { my %f = @{ $_->[1] }; JSON::PP->new->utf8->decode($f{data})->{line} } @{ $t->redis->call(XRANGE => "mchost:log:$id", '-', '+') } };
    later("the pod's output is in the stream", 30, sub { grep { /Done/ } $lines->() });
    my ($request, $c) = (uuid7(), $t->redis->client('nginx'));
    $c->call(SUBSCRIBE => "mchost:reply:$request");
    $t->redis->client('nginx')->call('XADD', 'mchost:cmd', '*', id => $request, tenant => $acme->{id}, server => $id,
        op => 'console', arg => 'say over the wall', deadline => int(time * 1000) + 20000);
    my $m = $c->message(25);
    ok($m && !exists JSON::PP->new->utf8->decode($m->[1])->{error}, 'a command is answered') or diag explain $m;
    later('and heard', 30, sub { grep { /over the wall/ } $lines->() });
};

subtest 'a change' => sub {
    is($t->api(PATCH => "/servers/$id", key => $acme->{key}, body => { spec => { properties => { motd => 'New' } } })->status, 200, 'over REST');
    later('reaches the resource', 60, sub { ($get->()->{spec}{properties}{motd} // '') eq 'New' });
    $runs->('and runs');
    $kube->patch(MinecraftServer => 'lobby', { spec => { properties => { motd => 'Mine' } } }, ns => $ns);
    later('what is changed beside the row is put back', 60, sub { $get->()->{spec}{properties}{motd} eq 'New' });
    $runs->('and still runs');
};

subtest 'the resource is deleted by hand' => sub {
    my ($uid, $world) = ($get->()->{metadata}{uid}, $claim->()->{metadata}{uid});
    $kube->delete(MinecraftServer => 'lobby', ns => $ns);
    later('it is back', 120, sub { my $s = $get->(); $s && $s->{metadata}{uid} ne $uid });
    later('and runs', 120, sub { my $p = $kube->get(Pod => 'mc-lobby-0', ns => $ns); $p && !$p->{metadata}{deletionTimestamp} && $cond->('Ready') eq 'True' });
    is($claim->()->{metadata}{uid}, $world, 'on its old world');
};

subtest 'the row goes without a tombstone' => sub {
    my $lost = $t->server($acme, 'lost', runPolicy => 'Stopped', storage => { size => '1Gi' })->{id};
    later('its resource', 60, sub { my $c = $kube->get(MinecraftServer => 'lost', ns => $ns); $c && ($c->{status}{state} // '') eq 'Stopped' });
    $t->sql("DELETE FROM server_status WHERE server_id = '$lost'; DELETE FROM servers WHERE id = '$lost'");
    $recon->stop;
    $recon->start;
    later('is reported', 30, sub { slurp($recon->{log}) =~ /does not know.*"server":"$lost"/ });
    like(($recon->admin('/metrics'))[1], qr/^mchost_orphans 1$/m, 'and counted');
    ok($kube->get(MinecraftServer => 'lost', ns => $ns), 'and left');
};

subtest 'two keys' => sub {
    like($t->api(DELETE => "/servers/$id", key => $acme->{key})->status, qr{^20[024]$}, 'deleted over REST') or return;
    later('the resource is gone', 120, sub { !$get->() });
    ok($claim->(), 'the world stays');
    my $two = $t->server($acme, 'two', storage => { size => '1Gi', retention => 'Delete' })->{id};
    later('another one', 120, sub { my $c = $kube->get(MinecraftServer => 'two', ns => $ns); $c && ($c->{status}{state} // '') eq 'Running' });
    $kube->delete(MinecraftServer => 'two', ns => $ns);
    later('comes back', 120, sub { my $c = $kube->get(MinecraftServer => 'two', ns => $ns); $c && !$c->{metadata}{deletionTimestamp} && ($c->{status}{state} // '') eq 'Running' });
    ok($kube->get(PersistentVolumeClaim => "mc-$two", ns => $ns), 'no world is lost while its row lives');
    like($t->api(DELETE => "/servers/$two", key => $acme->{key})->status, qr{^20[024]$}, 'deleted over REST');
    later('its resource is gone', 120, sub { !$kube->get(MinecraftServer => 'two', ns => $ns) });
    later('and its world', 30, sub { my $c = $kube->get(PersistentVolumeClaim => "mc-$two", ns => $ns); !$c || $c->{metadata}{deletionTimestamp} });
};

done_testing;
