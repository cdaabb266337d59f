# The first door to a server in Kubernetes: a MinecraftServer applied with
# kubectl, with neither database nor Redis.
# sanitized: only

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(kube => 1, postgres => 0, redis => 0, nginx => 0, reconciler => { ping_interval => '1s' });
my $kube = $t->kube;
my $recon = $t->recon;

sub later { my ($what, $timeout, $cond) = @_; return ok(eval { wait_for { $cond->() } $what, $timeout }, $what) || diag($@, $recon->tail) }

my $get = sub { return $kube->get(MinecraftServer => $_[0] // 'lobby') };
my $state = sub { return ($get->(@_) // {})->{status}{state} // '' };
my $cond = sub { my ($type, $name) = @_; return $kube->condition($get->($name), $type) };
my $runs = sub {
    my ($name) = @_;
    return later("$name runs", 120, sub {
        my $s = $get->($name);
        return ($s->{status}{state} // '') eq 'Running' && $s->{status}{observedGeneration} == $s->{metadata}{generation}
            && $kube->condition($s, 'Ready')->{status} eq 'True' && $kube->condition($s, 'ConfigInSync')->{status} eq 'True';
    });
};
my $pod = sub { return $kube->get(Pod => 'mc-' . ($_[0] // 'lobby') . '-0') };
my $claim;

subtest 'a resource is a server' => sub {
    is($recon->admin('/readyz'), 200, 'the reconciler is ready without a database');
    $kube->server('lobby', shutdown => { announceSeconds => 0, graceSeconds => 30 });
    $runs->('lobby');
    my $s = $get->();
    is_deeply($s->{metadata}{finalizers}, ['mchost.io/world'], 'the finalizer');
    is($s->{status}{players}{online}, 0, 'its players');
    is($s->{status}{version}, '1.20.4', 'its version');
    is($cond->('StorageReady')->{status}, 'True', 'its storage');
    is($cond->('Degraded')->{status}, 'False', 'all well');
    $claim = $s->{status}{storage}{claimName};
    my $pvc = $kube->get(PersistentVolumeClaim => $claim);
    ok($pvc && !$pvc->{metadata}{ownerReferences}, 'a claim without an owner');
    is($kube->get(StatefulSet => 'mc-lobby')->{metadata}{ownerReferences}[0]{uid}, $s->{metadata}{uid}, 'the rest has one');
    my %reasons = map { $_->{reason} => 1 } grep { $_->{regarding}{name} eq 'lobby' } $kube->list('Event');
    ok($reasons{Running}, 'an Event tells') or diag explain [ keys %reasons ];
    like(($recon->admin('/metrics'))[1], qr/^mchost_servers_ready 1$/m, 'counted');
};

subtest 'a pause' => sub {
    my $uid = $pod->()->{metadata}{uid};
    $kube->patch(MinecraftServer => 'lobby', { metadata => { annotations => { 'mchost.io/paused' => 'true' } } });
    later('Paused', 30, sub { $cond->('Paused')->{status} eq 'True' });
    $kube->patch(MinecraftServer => 'lobby', { spec => { runPolicy => 'Stopped' } });
    later('what is new is seen', 30, sub { my $s = $get->(); $s->{status}{observedGeneration} == $s->{metadata}{generation} });
    is($pod->()->{metadata}{uid}, $uid, 'and not followed');
    is($state->(), 'Running', 'it runs');
    $kube->patch(MinecraftServer => 'lobby', { metadata => { annotations => { 'mchost.io/paused' => undef } } });
    later('Stopped', 90, sub { $state->() eq 'Stopped' && !$pod->() });
    is($cond->('Paused')->{status}, 'False', 'not paused any more');
    is($kube->get(StatefulSet => 'mc-lobby')->{spec}{replicas}, 0, 'no replicas');
    $kube->patch(MinecraftServer => 'lobby', { spec => { runPolicy => 'Always' } });
    $runs->('lobby');
};

subtest 'a change that needs a restart' => sub {
    my $uid = $pod->()->{metadata}{uid};
    $kube->patch(MinecraftServer => 'lobby', { spec => { properties => { motd => 'Changed' } } });
    later('a new pod', 120, sub { my $p = $pod->(); $p && $p->{metadata}{uid} ne $uid });
    $runs->('lobby');
};

subtest 'a restart' => sub {
    my $uid = $pod->()->{metadata}{uid};
    $kube->patch(MinecraftServer => 'lobby', { spec => { restartToken => 'now' } });
    later('a new pod', 120, sub { my $p = $pod->(); $p && $p->{metadata}{uid} ne $uid });
    $runs->('lobby');
};

subtest 'a change that does not' => sub {
    my $uid = $pod->()->{metadata}{uid};
    $kube->patch(MinecraftServer => 'lobby', { spec => { properties => { difficulty => 'hard' } } });
    later('the game is told', 60, sub {
        my ($rc, $out) = $kube->kubectl_try('logs', 'mc-lobby-0');
        return $out =~ /difficulty.*hard/i;
    });
    later('observed', 30, sub { my $s = $get->(); $s->{status}{observedGeneration} == $s->{metadata}{generation} });
    is($pod->()->{metadata}{uid}, $uid, 'the pod is the same');
    is($cond->('RestartPending')->{status}, 'False', 'no restart is pending');
};

subtest 'drift' => sub {
    $kube->delete(Service => 'mc-lobby');
    later('a deleted Service is made again', 60, sub { $kube->get(Service => 'mc-lobby') });
};

subtest 'a spec that cannot run' => sub {
    $kube->server('odd', software => { type => 'custom', version => '1', image => 'localhost/no-such-image:1', imagePullPolicy => 'Never' }, eula => { accepted => true });
    later('Failed', 60, sub { $state->('odd') eq 'Failed' });
    is($cond->('Degraded', 'odd')->{reason}, 'ImageMissing', 'with a reason');
    like($cond->('Degraded', 'odd')->{message}, qr/no-such-image/, 'in words');
    is($cond->('Progressing', 'odd')->{status}, 'False', 'until it is changed');
    $kube->patch(MinecraftServer => 'odd', { spec => { software => { image => 'localhost/mchost-demo:latest' } } });
    later('a mended one is tried at once', 60, sub { my $p = $pod->('odd'); $p && $p->{spec}{containers}[0]{image} =~ /mchost-demo/ });
    $kube->delete(MinecraftServer => 'odd');
    later('it can be deleted', 60, sub { !$get->('odd') });
};

subtest "a row's resource, where there are no rows" => sub {
    my $id = uuid7();
    $kube->apply({ apiVersion => 'mchost.io/v1alpha1', kind => 'MinecraftServer',
        metadata => { name => 'orphan', labels => { 'app.kubernetes.io/managed-by' => 'mchost', 'mchost.io/server-id' => $id, 'mchost.io/spec-owner' => 'db' } },
        spec => { software => { type => 'demo', version => '1.20.4' }, storage => { size => '1Gi' } } });
    later('is reported', 30, sub { slurp($recon->{log}) =~ /does not know.*"server":"$id"/ });
    like(($recon->admin('/metrics'))[1], qr/^mchost_orphans 1$/m, 'counted');
    my $s = $get->('orphan');
    ok(!$s->{status} && !$s->{metadata}{finalizers}, 'and left alone');
    $kube->delete(MinecraftServer => 'orphan');
    ok(!$get->('orphan'), 'as nothing holds it, it goes at once');
};

subtest 'deleted, the world stays' => sub {
    my $uid = $kube->get(PersistentVolumeClaim => $claim)->{metadata}{uid};
    $kube->delete(MinecraftServer => 'lobby');
    later('gone', 90, sub { !$get->() });
    ok(!$pod->(), 'and its pod');
    later('and its children', 60, sub { !$kube->get(StatefulSet => 'mc-lobby') && !$kube->get(Secret => 'mc-lobby') });
    is($kube->get(PersistentVolumeClaim => $claim)->{metadata}{uid}, $uid, 'not its world');
    $kube->server('lobby', storage => { size => '1Gi', retention => 'Delete' });
    $runs->('lobby');
    is($get->()->{status}{storage}{claimName}, $claim, 'applied again it finds its world');
    is($kube->get(PersistentVolumeClaim => $claim)->{metadata}{uid}, $uid, 'the same');
    $kube->patch(MinecraftServer => 'lobby', { metadata => { annotations => { 'mchost.io/purge-world' => 'lobby' } } });
    $kube->delete(MinecraftServer => 'lobby');
    later('gone', 90, sub { !$get->() });
    later('with both keys the world goes', 30, sub { my $c = $kube->get(PersistentVolumeClaim => $claim); !$c || $c->{metadata}{deletionTimestamp} });
};

subtest 'the namespace ends' => sub {
    $kube->server('last');
    $runs->('last');
    $kube->delete(Namespace => $kube->ns);
    later('and is gone', 120, sub { !$kube->get(Namespace => $kube->ns) });
};

done_testing;
