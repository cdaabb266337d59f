# The reconciler is killed with -9 in the middle of everything that it does to a
# server in Kubernetes, and started again: it converges, on the same world.
# sanitized: only

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(kube => 1, postgres => 0, redis => 0, nginx => 0, reconciler => { ping_interval => '1s' });
my ($kube, $recon) = ($t->kube, $t->recon);
my $n = 0;

sub get { return $kube->get(@_) }
sub server { return get(MinecraftServer => $_[0]) }
sub pod { return get(Pod => "mc-$_[0]-0") }

sub state_is {
    my ($name, $state) = @_;

    my $s = server($name) or return 0;
    return ($s->{status}{state} // '') eq $state && $s->{status}{observedGeneration} == $s->{metadata}{generation}
        && ($state ne 'Running' || $kube->condition($s, 'Ready')->{status} eq 'True' && $kube->condition($s, 'ConfigInSync')->{status} eq 'True');
}

sub later { my ($what, $cond) = @_; return ok(eval { wait_for { $cond->() } $what, 150 }, $what) || diag($@, $recon->tail) }

# Kills as soon as the condition holds, and starts it again.
sub kill_when {
    my ($what, $cond) = @_;

    wait_for { $cond->() } $what, 120;
    $recon->kill9;
    wait_for { !$recon->{proc}->alive } 'its end', 10;
    $recon->start(wait => 0);
}

sub make { my ($name) = @_; $kube->server($name, shutdown => { announceSeconds => 0, graceSeconds => 30 }) }
sub change { my ($name, $spec) = @_; $kube->patch(MinecraftServer => $name, { spec => $spec }) }

# At which moments, of what.
my @create = (
    [ 'the finalizer is set', sub { (server($_[0])->{metadata}{finalizers} // [])->@* } ],
    [ 'the claim is there', sub { claims($_[0]) } ],
    [ 'the pod is there', sub { pod($_[0]) } ],
);

sub claims { my ($name) = @_; return $kube->list('PersistentVolumeClaim', selector => "app.kubernetes.io/instance=$name") }

for my $moment (@create) {
    my ($what, $cond) = @$moment;
    my $name = 's' . ++$n;

    subtest "created, killed when $what" => sub {
        make($name);
        kill_when($what, sub { $cond->($name) });
        later('runs', sub { state_is($name, 'Running') });
        is((grep { ($_->{metadata}{name} // '') =~ /^mc-\Q$name\E-/ } $kube->list('Pod')) + 0, 1, 'one pod');
        my $claim = server($name)->{status}{storage}{claimName};
        my $world = get(PersistentVolumeClaim => $claim)->{metadata}{uid};

        change($name, { restartToken => 'again' });
        kill_when('it stops', sub { (get(StatefulSet => "mc-$name")->{spec}{replicas} // 1) == 0 });
        later('runs again', sub { state_is($name, 'Running') && (pod($name)->{metadata}{annotations}{'mchost.io/restart-token'} // '') eq 'again' });

        change($name, { runPolicy => 'Stopped' });
        kill_when('it is told to stop', sub { my $p = pod($name); !$p || $p->{metadata}{deletionTimestamp} });
        later('stopped', sub { state_is($name, 'Stopped') && !pod($name) });
        change($name, { runPolicy => 'Always' });
        kill_when('it is to start', sub { get(StatefulSet => "mc-$name")->{spec}{replicas} == 1 });
        later('runs once more', sub { state_is($name, 'Running') });
        is(get(PersistentVolumeClaim => $claim)->{metadata}{uid}, $world, 'on the same world');

        $kube->delete(MinecraftServer => $name);
        kill_when('its pod goes', sub { my $p = pod($name); !$p || $p->{metadata}{deletionTimestamp} });
        later('gone', sub { !server($name) });
        later('with all that belongs to it', sub { !pod($name) && !get(StatefulSet => "mc-$name") && !get(Service => "mc-$name") });
        is(get(PersistentVolumeClaim => $claim)->{metadata}{uid}, $world, 'but its world');
    };
}

done_testing;
